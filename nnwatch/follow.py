"""A session file as a source of frames: of a run that is over, that goes on elsewhere, or that goes on here."""

from __future__ import annotations

import os
import time

from .client import SocketSource
from .dial import Dial
from .frame import Commit, End, Frame
from .session import Reader

_WAIT = 0.1
"""Longest wait of a ``read`` in seconds."""
_SILENT = 60.0
"""Seconds after which a file that does not grow is called lost: a monitor adds to it every second."""
_CHUNK = 1 << 18
_RECENT = 1000
"""Records that are shown while a file is read."""


class FileSource:
    """A session file; with ``follow`` it is read on while it grows. Raises SessionError if it is none."""

    def __init__(self, path: str | os.PathLike[str], *, follow: bool) -> None:
        self._reader = Reader(path)
        self._follow = follow
        self._ended = False
        self._grew = time.monotonic()
        self._commit: float | None = None
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
        if self._follow:
            self._commit = next((f.time for f in reversed(frames) if isinstance(f, Commit)), self._commit)
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

    def recent(self) -> list[Frame]:
        """What can be shown while ``read`` begins at the beginning."""
        return _recent(self._reader)

    @property
    def behind(self) -> float | None:
        """Age of the newest flush in seconds while a run elsewhere is followed by its file; None otherwise."""
        return None if self._commit is None or self._ended else max(0.0, time.time() - self._commit)

    @property
    def flaw(self) -> str | None:
        """What is missing of all that was read, None if it is whole."""
        return self._reader.flaw(growing=self._follow)

    def close(self) -> None:
        self._reader.close()


class NearSource:
    """A running job of this machine: what lies in its file already, by its chapters, and then its socket.

    Raises SessionError if the file is none, or none yet.
    """

    def __init__(self, dial: Dial, path: str | os.PathLike[str]) -> None:
        self._dial = dial
        self._file = Reader(path, committed=True)
        self._socket: SocketSource | None = None
        self.lost: str | None = None
        """Why no more comes although the run has not ended; None while all is well."""

    def recent(self) -> list[Frame]:
        """What can be shown while ``read`` begins at the beginning."""
        return _recent(self._file)

    def read(self) -> list[Frame]:
        """Frames that are new; waits at most 0.1 s, empty when there are none."""
        if self._socket is None:
            try:
                frames = self._file.read(_CHUNK)
                self.lost = self._file.flaw()  # then its frames cannot be counted
            except OSError as error:
                frames, self.lost = [], f"{self._file.path} cannot be read any more: {error.strerror}"
            if frames or self.lost:
                return frames
            self._socket = SocketSource(self._dial, self._file.number)
        frames = self._socket.read()
        self.lost = self._socket.lost
        return frames

    def close(self) -> None:
        self._file.close()
        if self._socket is not None:
            self._socket.close()


def _recent(reader: Reader) -> list[Frame]:
    try:
        return reader.recent(_RECENT)
    except OSError:  # reading it says why
        return []
