"""The session of another node by its file in a shared folder, where there is no connection: as ``line``, read on."""

from __future__ import annotations

import os
import time

from .. import stacks
from ..folders import find_job
from ..frame import Commit, Frame, Labels, Schema, Segment
from ..parser import SessionError, pieces
from ..seal import FrameError
from ..session import Reader
from .clock import Clock
from .line import START, Cursor

_EVERY = 1.0
"""Seconds between two looks; the file is opened anew for each, which is when a network file system asks its server."""
_CHUNK = 4 << 20
_QUIET = 30.0
"""Seconds without growth after which the node counts as gone: a monitor has something to write every second."""


class Tail:
    """The session of ``run`` at ``path`` from ``cursor`` on, up to its last Commit: what follows one may be cut off
    again."""

    def __init__(self, run: str, path: str, cursor: Cursor) -> None:
        self._run = run
        self.clock: Clock | None = None
        self.cursor = cursor
        self._path = path
        self._grew = time.monotonic()
        self._looked = -_EVERY
        self._names = cursor != START
        self._chunk = _CHUNK
        self._why = ""

    @property
    def cut(self) -> str | None:
        """Why no more comes; None while the file grows."""
        quiet = time.monotonic() - self._grew
        return (self._why or f"nothing was added to {self._path} for {quiet:.0f} s") if quiet > _QUIET else None

    def take(self) -> list[Frame]:
        """What came since the last call, at most once a second."""
        now = time.monotonic()
        if now - self._looked < _EVERY:
            return []
        self._looked = now
        try:
            names = self._declared() if self._names else []
            frames = self._read()
            self._names, self._why = False, ""
        except (OSError, SessionError) as error:
            self._why = getattr(error, "strerror", None) or str(error)
            return []
        if frames:
            self._grew = now
            newest = next((frame.time for frame in reversed(frames) if isinstance(frame, Commit)), 0.0)
            self.clock = self.clock or Clock(max(newest - time.time(), 0.0))
        return names + frames

    def _read(self) -> list[Frame]:
        with open(self._path, "rb") as file:
            number, at = self.cursor
            data = os.pread(file.fileno(), self._chunk, at)
        found: list[Frame] = []
        taken = 0
        for piece in pieces(data):
            number += not isinstance(piece.frame, FrameError)
            if piece.frame is not None and not isinstance(piece.frame, FrameError):
                found.append(piece.frame)
            if isinstance(piece.frame, Commit):
                self.cursor, taken = (number, at + piece.end), len(found)
        self._chunk = 2 * len(data) if not taken and len(data) == self._chunk else _CHUNK  # a flush may be longer
        return found[:taken]

    def _declared(self) -> list[Frame]:
        """What the frames before the cursor refer to by number."""
        reader = Reader(self._path)
        try:
            told = reader.recent(0) or reader.read()
        finally:
            reader.close()
        return [frame for frame in told if isinstance(frame, Labels | Schema | Segment)]

    def look(self) -> bool:
        """Have the node tell where its ranks are, which goes where the registry of jobs is shared as well."""
        job = find_job(self._run)
        if job is not None:
            stacks.request(job)
        return job is not None

    def close(self, why: str) -> None:
        self._why = why
