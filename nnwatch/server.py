"""Shows the session to viewers as it grows.

A viewer is a cursor on the session file: history, live tail, resuming and a slow viewer are one loop, and what
is sent are the bytes that lie in the file. Nothing is queued for anyone, so a viewer that is slow, stuck or
malicious costs the job a file descriptor and is dropped after a while. One that is far away is first sent an
overview, and then what is new; what it looks at closer it fetches.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from . import wire
from .history import History
from .listen import Door
from .seal import FrameError
from .shown import Shown
from .viewer import Caller, Viewer

_MOST_VIEWERS = 64
_MOST_WAITING = 64
"""Connections that have not said Hello; when one more comes the oldest of them has to go."""
_HELLO_SECONDS = 5.0
_STUCK_SECONDS = 30.0
_CHUNK = 1 << 18
_DETAIL_EVERY = 0.2
"""Seconds between two answers to Fetch for one viewer."""

Callback = Callable[[int], None]
"""What a registered file calls when it is ready, with the event mask."""


class Server:
    """``number`` frames and ``end`` bytes of the session are there to be seen; ``advance`` says when it grew.

    ``history`` is what they say, for overviews.
    """

    def __init__(
        self, session: Path, run: str, number: int, end: int, ready: selectors.BaseSelector, history: History
    ) -> None:
        self._ready = ready
        self._shown = Shown(session, run, number, end, history)
        self._viewers: set[Viewer] = set()
        self._doors: dict[Door, socket.socket] = {}
        self._broken: deque[float] = deque(maxlen=_MOST_VIEWERS)  # when lines of far viewers broke that are not back
        self.join: Callable[[socket.socket, wire.Join], str] = lambda *_: "it is no first node"
        """Takes the connection of a node that joins; else why it does not."""

    @property
    def watched(self) -> bool:
        """Whether somebody looks who wants to see it at once; the first node's monitor does not."""
        return any(viewer.caller is None for viewer in self._viewers)

    @property
    def behind(self) -> bool:
        """Whether a viewer that moves has not got everything yet."""
        return any(self._pending(viewer) for viewer in self._viewers)

    def missed(self, seconds: float) -> bool:
        """Whether within so long the line of a far viewer broke that has not come back, nor was told the end."""
        return any(time.monotonic() - when < seconds for when in self._broken)

    def listen(self, door: Door) -> None:
        """Let viewers in here. Raises OSError if there can be no socket."""
        listener = door.open()
        listener.setblocking(False)
        self._ready.register(listener, selectors.EVENT_READ, lambda _: self._accept(listener, door.token))
        self._doors[door] = listener

    def _shut(self, door: Door) -> None:
        listener = self._doors.pop(door)
        self._ready.unregister(listener)
        listener.close()

    def tend(self) -> None:
        """Once a second or so: make a socket again if somebody removed it, drop viewers that are stuck."""
        for door in list(self._doors):
            if not door.there:
                self._shut(door)
                with contextlib.suppress(OSError):
                    self.listen(door)
        now = time.monotonic()
        for viewer in list(self._viewers):
            patience = _HELLO_SECONDS if viewer.offset < 0 else _STUCK_SECONDS
            if (viewer.offset < 0 or self._pending(viewer)) and now - viewer.progress > patience:
                self._drop(viewer)

    def advance(self, frames: int, end: int) -> None:
        """The session has ``frames`` more frames and is ``end`` bytes long."""
        self._shown.advance(frames, end)
        for viewer in self._viewers:
            if viewer.offset >= 0:
                self._want(viewer)

    def _accept(self, listener: socket.socket, token: str) -> None:
        try:
            connection, _address = listener.accept()
        except OSError:
            return
        self.admit(connection, token)

    def admit(self, connection: socket.socket, token: str = "", caller: Caller | None = None) -> None:
        """A viewer has connected; it has to say ``token`` where there is one. ``caller`` went to fetch it."""
        waiting = [viewer for viewer in self._viewers if viewer.offset < 0]
        if len(self._viewers) - len(waiting) >= _MOST_VIEWERS:
            connection.close()
            if caller is not None:
                caller.left("")
            return
        if len(waiting) >= _MOST_WAITING:
            self._drop(min(waiting, key=lambda viewer: viewer.progress))
        connection.setblocking(False)
        viewer = Viewer(connection, token, caller)
        self._viewers.add(viewer)
        self._ready.register(connection, selectors.EVENT_READ, lambda mask: self._serve(viewer, mask))

    def _serve(self, viewer: Viewer, mask: int) -> None:
        try:
            if mask & selectors.EVENT_READ:
                self._hear(viewer)
            if mask & selectors.EVENT_WRITE:
                self._send(viewer)
            self._want(viewer)
        except (BlockingIOError, InterruptedError):
            pass
        except (OSError, EOFError, FrameError):
            told = self._shown.ended and not self._pending(viewer)
            if viewer.token and viewer.offset >= 0 and not (viewer.left or told):
                self._broken.append(time.monotonic())
            self._drop(viewer)

    def _hear(self, viewer: Viewer) -> None:
        """A Hello, later Fetches, at last a Bye. Raises EOFError or FrameError for anything else."""
        data = viewer.socket.recv(wire.HELLO_LIMIT)
        if not data or viewer.refused:
            raise EOFError
        viewer.heard += data
        while viewer.heard:
            try:
                message, end = wire.unpack(viewer.heard)
            except EOFError:
                if len(viewer.heard) >= wire.HELLO_LIMIT:
                    raise
                return
            del viewer.heard[:end]
            if viewer.offset < 0 and isinstance(message, wire.Hello):
                viewer.offset, answer = self._answer(message, viewer.token)
                viewer.answer, viewer.refused = memoryview(answer), viewer.offset < 0
                viewer.progress = time.monotonic()
                if viewer.refused:
                    return
                if viewer.caller is not None:
                    viewer.caller.welcomed()
            elif viewer.offset < 0 and isinstance(message, wire.Join) and viewer.caller is None:
                self._turn(viewer, message)
                return
            elif viewer.offset < 0 and isinstance(message, wire.Refused) and viewer.caller is not None:
                self._drop(viewer, message.reason)
                return
            elif viewer.offset >= 0 and isinstance(message, wire.Fetch):
                viewer.fetch = message  # the newest is what it looks at
            elif viewer.offset >= 0 and isinstance(message, wire.Look) and viewer.caller is not None:
                viewer.caller.asked()
            elif isinstance(message, wire.Bye):
                viewer.left = True
            else:
                raise FrameError("not the time for it")

    def _answer(self, hello: wire.Hello, token: str) -> tuple[int, bytes]:
        """Where the viewer's cursor stands, and what it is told first; -1 for one that is refused."""
        protocol, since, first = wire.common(hello.protocols), hello.since, b""
        offset: int | None = None
        reason = wire.unwelcome(hello, token)
        if not reason and hello.run not in ("", self._shown.run):
            reason = f"run {hello.run} is over; here is {self._shown.run}"
        if not reason:
            if hello.overview > 0 and not since:
                since, first = self._shown.overview(hello.overview)
            elif hello.names:
                first = self._shown.names()
            if hello.run and token and self._broken:
                self._broken.popleft()  # it was here before
            offset = self._shown.locate(since)
            reason = f"the session has no frame {since}; attach again from the start"
        if offset is None or protocol is None:
            return -1, wire.pack(wire.Refused(reason))
        return offset, wire.pack(wire.Welcome(protocol, self._shown.run, since, len(first), time.time())) + first

    def _turn(self, viewer: Viewer, join: wire.Join) -> None:
        """A node has come: it is the one to be looked at."""
        self._forget(viewer)
        why = wire.unwelcome(join, viewer.token) or self.join(viewer.socket, join)
        if why:
            with contextlib.suppress(OSError):
                viewer.socket.send(wire.pack(wire.Refused(why)))
            viewer.socket.close()

    def _pending(self, viewer: Viewer) -> bool:
        return bool(viewer.answer) or 0 <= viewer.offset < self._shown.end

    def _asks(self, viewer: Viewer) -> bool:
        """Whether an answer to Fetch may be made now: it goes between two frames of the file."""
        return viewer.fetch is not None and time.monotonic() - viewer.fetched >= _DETAIL_EVERY

    def _want(self, viewer: Viewer) -> None:
        if viewer in self._viewers:
            write = self._pending(viewer) or self._asks(viewer)
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if write else 0)
            key = self._ready.get_key(viewer.socket)
            if key.events != events:
                self._ready.modify(viewer.socket, events, key.data)

    def _send(self, viewer: Viewer) -> None:
        if not self._pending(viewer) and viewer.fetch is not None and self._asks(viewer):
            viewer.answer, viewer.fetch = memoryview(self._shown.detail(viewer.fetch)), None
            viewer.fetched = time.monotonic()
        if viewer.answer:
            viewer.answer = viewer.answer[viewer.socket.send(viewer.answer[:_CHUNK]) :]
        elif viewer.offset < self._shown.end:
            data = self._shown.read(viewer.offset, _CHUNK)
            viewer.offset += viewer.socket.send(data)
        viewer.progress = time.monotonic()
        if viewer.refused and not viewer.answer:
            raise EOFError

    def _forget(self, viewer: Viewer) -> None:
        self._viewers.discard(viewer)
        with contextlib.suppress(KeyError, ValueError):
            self._ready.unregister(viewer.socket)

    def _drop(self, viewer: Viewer, refused: str = "") -> None:
        self._forget(viewer)
        viewer.socket.close()
        if viewer.caller is not None:
            viewer.caller.left(refused)

    def close(self) -> None:
        for viewer in list(self._viewers):
            self._drop(viewer)
        for door in list(self._doors):
            self._shut(door)
            door.remove()
        self._shown.close()
