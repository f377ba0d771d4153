"""The socket of a running job, here or far away, as a source of frames."""

from __future__ import annotations

import contextlib
import socket
import time

from . import wire
from .detail import Detail
from .dial import Dial
from .errors import RunError
from .frame import End, Frame, Stretch
from .parser import Parser
from .seal import MARK, FrameError

_WAIT = 0.1
"""Longest wait of a ``read`` in seconds."""
_PATIENCE = 3.0
"""Seconds without a connection after which it is called lost: a monitor that died is back within them."""
_FAR_PATIENCE = 20.0
"""The same where a line may have failed as well."""
_CHUNK = 1 << 18
_OVERVIEW = 600_000
"""Bytes of numbers in the overview of a run that is far away: half a second at 10 Mbit/s."""
_QUIET = 30.0
"""Seconds without a word after which a far connection counts as gone: a monitor has something to say every second."""
_PREFACE = 1 << 16
"""Bytes before the monitor's answer that are passed over."""


class SocketSource:
    """A running job over ``dial``, read from frame number ``since`` on.

    When the connection breaks it is made again and goes on at the next frame: no gap, none twice. One that is far away
    is shown by an overview first; ``look`` then says what is looked at, and its detail comes among the frames.
    """

    def __init__(self, dial: Dial, since: int = 0, token: str = "") -> None:
        self._dial = dial
        self._token = token
        self._parser = Parser(since)
        self._early = b""
        self._overview = _OVERVIEW if dial.far and not since else 0
        self._glance = b""  # what has come of the overview
        self._left = 0  # bytes of it that are still to come
        self._detail = Detail()
        self._run = ""
        self._socket: socket.socket | None = None
        self._ended = self._refused = False
        self._alone_since = self._heard = time.monotonic()
        self.lost: str | None = None
        """Why no more comes although the run has not ended; None while all is well."""

    def read(self) -> list[Frame]:
        """Frames that are new; waits at most 0.1 s, empty when there are none."""
        if self._refused or (self._ended and self._socket is None):
            time.sleep(_WAIT)
            return []
        try:
            if self._socket is None:
                self._connect()
            frames = self._receive()
        except TimeoutError as error:
            if self._dial.far and not self._ended and time.monotonic() - self._heard > _QUIET:
                self._disconnect(error)
            return []
        except (OSError, EOFError, FrameError) as error:
            self._disconnect(error)
            time.sleep(_WAIT)
            return []
        for frame in frames:
            if isinstance(frame, Stretch):
                self._detail.has(frame)
        self._ended = self._ended or any(isinstance(frame, End) for frame in frames)
        return frames

    def connect(self) -> None:
        """The first connection, which may ask for a password. Raises RunError if there can be none."""
        try:
            self._connect()
        except (OSError, EOFError, FrameError) as error:
            why = self.lost or self._dial.why() or getattr(error, "strerror", None) or str(error) or "it hung up"
            raise RunError(f"{self._dial.where}: {why}") from None

    def look(self, segment: int, rank: int, first: int, last: int) -> None:
        """These steps of a track are looked at; called from any thread."""
        self._detail.look(segment, rank, first, last)

    def _connect(self) -> None:
        connection = self._dial()
        try:
            hello = wire.Hello([*wire.PROTOCOLS], self._parser.number, self._run, self._overview, self._token)
            connection.sendall(wire.pack(hello))
            answer, rest = _greeted(connection)
        except BaseException:
            connection.close()
            raise
        if isinstance(answer, wire.Welcome):
            connection.settimeout(_WAIT)
            self._socket, self._run, self.lost = connection, answer.run, None
            self._early = rest
            if self._overview:
                self._left, self._parser = answer.overview, Parser(answer.since)
                self._overview *= bool(self._left)
            return
        connection.close()
        self._refused = True
        self.lost = answer.reason if isinstance(answer, wire.Refused) else "the answer is none of nnwatch"
        raise EOFError

    def _receive(self) -> list[Frame]:
        assert self._socket is not None
        if (fetch := self._detail.next()) is not None:
            self._socket.sendall(wire.pack(fetch))
        data, self._early = self._early, b""
        if not data:
            data = self._socket.recv(_CHUNK)
            self._heard = time.monotonic()
            if not data:
                raise EOFError
        if not self._left:
            return self._parser.feed(data)
        part = data[: self._left]
        self._glance, self._left = self._glance + part, self._left - len(part)
        if self._left:
            return []
        whole, self._glance, self._overview = self._glance, b"", 0
        return [*Parser().feed(whole), *self._parser.feed(data[len(part) :])]

    def _disconnect(self, error: Exception) -> None:
        now = time.monotonic()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._alone_since = now
        self._parser.forget()
        self._detail.broken()
        if self._overview:  # not whole: the next one tells it all
            self._glance, self._left, self._parser = b"", 0, Parser()
        why = self._dial.why() or (isinstance(error, OSError) and error.strerror) or ""
        patience = _FAR_PATIENCE if self._dial.far else _PATIENCE
        if not (self._refused or self._ended) and now - self._alone_since > patience:
            self.lost = f"no monitor answers at {self._dial.where}{f' ({why})' if why else ''}"

    def close(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.sendall(wire.pack(wire.Bye()))
            self._socket.close()
        self._dial.close()


def _greeted(connection: socket.socket) -> tuple[wire.Message, bytes]:
    """The monitor's answer, and what came behind it already. A login shell may have said something before it."""
    data = b""
    while True:
        with contextlib.suppress(EOFError):
            at = data.find(MARK)
            answer, end = wire.unpack(data, at if at >= 0 else len(data))
            return answer, data[end:]
        if len(data) > _PREFACE:
            raise FrameError("no answer of nnwatch")
        more = connection.recv(_CHUNK)
        if not more:
            raise EOFError
        data += more
