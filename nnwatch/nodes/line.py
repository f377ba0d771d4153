"""A connection over which another node's monitor shows its session: the first node's end of it. Nothing here waits."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time

from .. import wire
from ..frame import Frame
from ..parser import PRELUDE, Parser
from ..seal import FrameError
from .clock import Clock, measured

_CHUNK = 1 << 18
_MOST = 32 << 20
"""Bytes that may wait here to be recorded; beyond them the node keeps them, in its file."""
_QUIET = 30.0
"""Seconds without a word after which the connection counts as gone: a monitor has something to say every second."""

Cursor = tuple[int, int]
"""Count of frames and of bytes of a session."""
START: Cursor = (0, len(PRELUDE))


class Line:
    """The session of ``run`` over ``connection``, from ``cursor`` on. ``take`` gives the frames that came."""

    def __init__(self, connection: socket.socket, run: str, cursor: Cursor, ready: selectors.BaseSelector) -> None:
        self.cut: str | None = None
        """Why no more comes; None while the connection is there."""
        self.clock: Clock | None = None
        """The node's; known since it answered."""
        self.cursor = cursor
        """Of what was taken."""
        self._socket = connection
        self._ready = ready
        self._parser = Parser(cursor[0])
        self._base = cursor[1]
        self._early = b""  # of the answer, then of the names
        self._names = 0  # bytes of them that are still to come
        self._waiting: list[Frame] = []
        self._bytes = 0
        self._hears = True
        connection.setblocking(False)
        ready.register(connection, selectors.EVENT_READ, self._hear)
        self._heard, self._asked = time.monotonic(), time.time()
        hello = wire.Hello([*wire.PROTOCOLS], cursor[0], run, names=cursor != START)
        try:
            connection.send(wire.pack(hello))
        except OSError as error:
            self.close(error.strerror or str(error))

    def take(self) -> list[Frame]:
        """What came since the last call."""
        frames, self._waiting, self._bytes = self._waiting, [], 0
        self.cursor = self._parser.number, self._base + self._parser.taken
        if self.cut is None and not self._hears:
            self._ready.register(self._socket, selectors.EVENT_READ, self._hear)
            self._hears, self._heard = True, time.monotonic()
        if self._hears and time.monotonic() - self._heard > _QUIET:
            self.close(f"nothing was heard for {_QUIET:.0f} s")
        return frames

    def _hear(self, _: int) -> None:
        try:
            data = self._socket.recv(_CHUNK)
            if not data:
                raise EOFError("it hung up")
            self._heard = time.monotonic()
            self._feed(data)
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, EOFError, FrameError) as error:
            self.close(getattr(error, "strerror", None) or str(error))
            return
        if self._bytes > _MOST:
            self._ready.unregister(self._socket)
            self._hears = False

    def _feed(self, data: bytes) -> None:
        if self.clock is None:
            self._early += data
            try:
                answer, end = wire.unpack(self._early)
            except EOFError:
                return
            if not isinstance(answer, wire.Welcome):
                raise FrameError(answer.reason if isinstance(answer, wire.Refused) else "the answer is none of nnwatch")
            self.clock = measured(self._asked, answer.time, time.time())
            self._names, data, self._early = answer.overview, self._early[end:], b""
        if self._names:
            part, data = data[: self._names], data[self._names :]
            self._early, self._names = self._early + part, self._names - len(part)
            if self._names:
                return
            self._waiting += Parser().feed(self._early)
            self._early = b""
        self._waiting += self._parser.feed(data)
        self._bytes += len(data)

    def look(self) -> bool:
        """Have the node tell where its ranks are; whether it could be asked."""
        try:
            return self.clock is not None and self._socket.send(wire.pack(wire.Look())) > 0
        except OSError:
            return False

    def close(self, why: str) -> None:
        if self.cut is None:
            self.cut = why
            with contextlib.suppress(KeyError, ValueError):
                self._ready.unregister(self._socket)
            self._socket.close()
