"""Shows the session to viewers over a Unix socket, as it grows.

A viewer is a cursor on the session file: history, live tail, resuming and a slow viewer are one loop, and what
is sent are the bytes that lie in the file. Nothing is queued for anyone, so a viewer that is slow, stuck or
malicious costs the job a file descriptor and is dropped after a while.
"""

from __future__ import annotations

import bisect
import contextlib
import os
import selectors
import socket
import time
from collections.abc import Callable
from pathlib import Path

from . import wire
from .frame import HEAD_SIZE, MARK, FrameError
from .runs import SOCKET_PATH_LIMIT, private
from .session import PRELUDE

_MOST_VIEWERS = 64
_HELLO_SECONDS = 5.0
_STUCK_SECONDS = 30.0
_CHUNK = 1 << 18
_MARK_EVERY = 1 << 18

Callback = Callable[[int], None]
"""What a registered file calls when it is ready, with the event mask."""


class _Viewer:
    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.hello = bytearray()
        self.greeting = b""  # still to be sent
        self.offset = -1  # into the file; -1 before its Hello
        self.progress = time.monotonic()


class Server:
    """``number`` frames and ``end`` bytes of the session are there to be seen; ``advance`` says when it grew.

    Raises OSError if there can be no socket at ``path``.
    """

    def __init__(
        self, path: Path, session: Path, run: str, number: int, end: int, ready: selectors.BaseSelector
    ) -> None:
        self._path = path
        self._run = run
        self._ready = ready
        self._viewers: set[_Viewer] = set()
        self._marks = [(0, len(PRELUDE)), (number, end)]  # frame number and offset, now and then
        self._number, self._end = number, end
        self._inode = -1
        self._listener: socket.socket | None = None
        self._file = os.open(session, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._listen()
        except OSError:
            os.close(self._file)
            raise

    @property
    def watched(self) -> bool:
        return bool(self._viewers)

    @property
    def behind(self) -> bool:
        """Whether a viewer that moves has not got everything yet."""
        return any(self._pending(viewer) for viewer in self._viewers)

    def _listen(self) -> None:
        if len(os.fsencode(self._path)) > SOCKET_PATH_LIMIT:
            raise OSError(0, f"a socket path has at most {SOCKET_PATH_LIMIT} bytes")
        private(self._path.parent)
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        mask = os.umask(0o177)
        try:
            listener.bind(os.fspath(self._path))
        except OSError:
            listener.close()
            raise
        finally:
            os.umask(mask)
        listener.listen(_MOST_VIEWERS)
        listener.setblocking(False)
        self._inode = self._path.stat().st_ino
        self._ready.register(listener, selectors.EVENT_READ, self._accept)
        self._listener = listener

    def _unlisten(self) -> None:
        if self._listener is not None:
            self._ready.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def tend(self) -> None:
        """Once a second or so: make the socket again if somebody removed it, drop viewers that are stuck."""
        with contextlib.suppress(OSError):
            if not self._path.exists() or self._path.stat().st_ino != self._inode:
                self._unlisten()
                self._listen()
        now = time.monotonic()
        for viewer in list(self._viewers):
            patience = _HELLO_SECONDS if viewer.offset < 0 else _STUCK_SECONDS
            if (viewer.offset < 0 or self._pending(viewer)) and now - viewer.progress > patience:
                self._drop(viewer)

    def advance(self, frames: int, end: int) -> None:
        """The session has ``frames`` more frames and is ``end`` bytes long."""
        self._number, self._end = self._number + frames, end
        if end - self._marks[-1][1] >= _MARK_EVERY:
            self._marks.append((self._number, end))
        for viewer in self._viewers:
            if viewer.offset >= 0:
                self._want(viewer)

    def _accept(self, _: int) -> None:
        assert self._listener is not None
        try:
            connection, _address = self._listener.accept()
        except OSError:
            return
        if len(self._viewers) >= _MOST_VIEWERS:
            connection.close()
            return
        connection.setblocking(False)
        viewer = _Viewer(connection)
        self._viewers.add(viewer)
        self._ready.register(connection, selectors.EVENT_READ, lambda mask: self._serve(viewer, mask))

    def _serve(self, viewer: _Viewer, mask: int) -> None:
        try:
            if mask & selectors.EVENT_READ:
                self._hear(viewer)
            if mask & selectors.EVENT_WRITE:
                self._send(viewer)
            self._want(viewer)
        except (BlockingIOError, InterruptedError):
            pass
        except (OSError, EOFError, FrameError):
            self._drop(viewer)

    def _hear(self, viewer: _Viewer) -> None:
        data = viewer.socket.recv(wire.HELLO_LIMIT)
        if not data or viewer.offset >= 0:  # gone, or talking when there is nothing left to say
            raise EOFError
        viewer.hello += data
        try:
            hello, end = wire.unpack(viewer.hello)
        except EOFError:
            if len(viewer.hello) >= wire.HELLO_LIMIT:
                raise
            return
        if not isinstance(hello, wire.Hello) or end != len(viewer.hello):
            raise FrameError("no Hello")
        viewer.offset, viewer.greeting = self._answer(hello)
        viewer.progress = time.monotonic()

    def _answer(self, hello: wire.Hello) -> tuple[int, bytes]:
        """Where the viewer's cursor stands, and what it is told first. A refused one gets nothing more."""
        offset: int | None = None
        if wire.PROTOCOL not in hello.protocols:
            reason = f"this monitor speaks protocol {wire.PROTOCOL}, the viewer {hello.protocols}; update the older one"
        elif hello.run not in ("", self._run):
            reason = f"run {hello.run} is over; here is {self._run}"
        else:
            offset = self._locate(hello.since)
            reason = f"the session has no frame {hello.since}; attach again from the start"
        if offset is None:
            return self._end, wire.pack(wire.Refused(reason))
        return offset, wire.pack(wire.Welcome(wire.PROTOCOL, self._run))

    def _locate(self, since: int) -> int | None:
        """Offset of frame number ``since``; None if there is no such frame."""
        if not 0 <= since <= self._number:
            return None
        number, offset = self._marks[bisect.bisect_right(self._marks, since, key=lambda mark: mark[0]) - 1]
        while number < since:
            head = os.pread(self._file, HEAD_SIZE, offset)
            if head[:4] != MARK:
                return None
            offset += HEAD_SIZE + int.from_bytes(head[4:8], "little")
            number += 1
        return offset

    def _pending(self, viewer: _Viewer) -> bool:
        return bool(viewer.greeting) or 0 <= viewer.offset < self._end

    def _want(self, viewer: _Viewer) -> None:
        if viewer in self._viewers:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._pending(viewer) else 0)
            key = self._ready.get_key(viewer.socket)
            if key.events != events:
                self._ready.modify(viewer.socket, events, key.data)

    def _send(self, viewer: _Viewer) -> None:
        if viewer.greeting:
            viewer.greeting = viewer.greeting[viewer.socket.send(viewer.greeting) :]
        elif viewer.offset < self._end:
            data = os.pread(self._file, min(_CHUNK, self._end - viewer.offset), viewer.offset)
            viewer.offset += viewer.socket.send(data)
        viewer.progress = time.monotonic()

    def _drop(self, viewer: _Viewer) -> None:
        self._viewers.discard(viewer)
        with contextlib.suppress(KeyError, ValueError):
            self._ready.unregister(viewer.socket)
        viewer.socket.close()

    def close(self) -> None:
        for viewer in list(self._viewers):
            self._drop(viewer)
        self._unlisten()
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        os.close(self._file)
