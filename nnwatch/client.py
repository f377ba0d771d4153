"""Where a viewer's frames come from: a session file, or the socket of a running job."""

from __future__ import annotations

import contextlib
import os
import socket
import time

from . import wire
from .frame import End, Frame, FrameError
from .session import Parser, Reader, SessionError

_WAIT = 0.1
"""Longest wait of a ``read`` in seconds."""
_PATIENCE = 3.0
"""Seconds without a connection after which it is called lost: a monitor that died is back within them."""
_SILENT = 60.0
"""Seconds after which a file that does not grow is called lost: a monitor adds to it every second."""
_CHUNK = 1 << 18


class FileSource:
    """A session file; with ``follow`` it is read on while it grows. Raises SessionError if it is none."""

    def __init__(self, path: str | os.PathLike[str], *, follow: bool) -> None:
        self._reader = Reader(path)
        self._follow = follow
        self._ended = False
        self._grew = time.monotonic()
        self.lost: str | None = None
        """Why no more will come although the run has not ended; None while all is well."""

    def read(self) -> list[Frame]:
        """Frames that are new; waits at most 0.1 s, empty when there are none."""
        try:
            frames = self._reader.read(_CHUNK)
        except OSError as error:
            self.lost = f"{self._reader.path} cannot be read any more: {error.strerror}"
            frames = []
        self._ended = self._ended or any(isinstance(frame, End) for frame in frames)
        now = time.monotonic()
        if frames:
            self._grew, self.lost = now, None
        elif not self._ended:
            if not self._follow:
                self.lost = self.lost or "the recording stops here, without the run's end"
            elif now - self._grew > _SILENT:
                self.lost = f"nothing was added to {self._reader.path} for {now - self._grew:.0f} s"
            time.sleep(_WAIT)
        return frames

    @property
    def flaw(self) -> str | None:
        """What is missing of all that was read, None if it is whole."""
        return self._reader.flaw(growing=self._follow)

    def close(self) -> None:
        self._reader.close()


class SocketSource:
    """The socket of a running job, read from frame number ``since`` on.

    When the connection breaks it is made again and goes on at the next frame: no gap, none twice.
    """

    def __init__(self, path: str, since: int = 0) -> None:
        self._path = path
        self._parser = Parser(since)
        self._run = ""
        self._socket: socket.socket | None = None
        self._ended = self._refused = False
        self._alone_since = time.monotonic()
        self.lost: str | None = None
        """Why no more comes although the run has not ended; None while all is well."""

    def read(self) -> list[Frame]:
        """Frames that are new; waits at most 0.1 s, empty when there are none."""
        if self._ended or self._refused:
            time.sleep(_WAIT)
            return []
        try:
            if self._socket is None:
                self._connect()
            frames = self._receive()
        except TimeoutError:
            return []
        except (OSError, EOFError, FrameError) as error:
            self._disconnect(error)
            time.sleep(_WAIT)
            return []
        self._ended = any(isinstance(frame, End) for frame in frames)
        return frames

    def _connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(1.0)
            connection.connect(self._path)
            connection.sendall(wire.pack(wire.Hello([wire.PROTOCOL], self._parser.number, self._run)))
            answer, rest = _greeted(connection)
        except BaseException:
            connection.close()
            raise
        if isinstance(answer, wire.Welcome):
            connection.settimeout(_WAIT)
            self._socket, self._run, self.lost = connection, answer.run, None
            self._early = rest
            return
        connection.close()
        self._refused = True
        self.lost = answer.reason if isinstance(answer, wire.Refused) else "the answer is none of nnwatch"
        raise EOFError

    def _receive(self) -> list[Frame]:
        assert self._socket is not None
        data, self._early = self._early, b""
        if not data:
            data = self._socket.recv(_CHUNK)
            if not data:
                raise EOFError
        return self._parser.feed(data)

    def _disconnect(self, error: Exception) -> None:
        now = time.monotonic()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._alone_since = now
        self._parser.forget()
        if not self._refused and now - self._alone_since > _PATIENCE:
            why = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
            self.lost = f"no monitor answers at {self._path}{why}"

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


def _greeted(connection: socket.socket) -> tuple[wire.Greeting, bytes]:
    """The monitor's answer, and what came behind it already."""
    data = b""
    while True:
        with contextlib.suppress(EOFError):
            answer, end = wire.unpack(data)
            return answer, data[end:]
        more = connection.recv(_CHUNK)
        if not more:
            raise EOFError
        data += more


__all__ = ["FileSource", "SessionError", "SocketSource"]
