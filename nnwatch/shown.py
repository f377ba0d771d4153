"""What viewers are shown of a session that grows: its bytes from any frame on, an overview, the detail of a part."""

from __future__ import annotations

import bisect
import os
import time
from pathlib import Path

from . import wire
from .archive import Archive
from .decimate import stretches
from .frame import Frame, pack
from .history import History
from .outline import outline
from .parser import PRELUDE
from .seal import HEAD_SIZE, MARK

_MARK_EVERY = 1 << 18
_MOST_OVERVIEW = 4 << 20
_DETAIL = 1 << 19
"""Bytes of one answer to Fetch."""
_OVERVIEW_KEPT = 5.0
"""Seconds for which an overview is sent to others as well; what came since follows it."""


class Shown:
    """``number`` frames and ``end`` bytes of the session ``run`` may be seen. ``history`` is what they say."""

    def __init__(self, session: Path, run: str, number: int, end: int, history: History) -> None:
        self.run = run
        self.end = end
        self._number = number
        self._history = history
        self._marks = [(0, len(PRELUDE)), (number, end)]  # frame number and offset, now and then
        self._overview: tuple[int, float, int, bytes] = (0, -_OVERVIEW_KEPT, 0, b"")  # its limit, when, where, what
        self._file = os.open(session, os.O_RDONLY | os.O_CLOEXEC)

    @property
    def ended(self) -> bool:
        """Whether the run's end is among what may be seen."""
        return self._history.end is not None

    def advance(self, frames: int, end: int) -> None:
        """The session has ``frames`` more frames and is ``end`` bytes long."""
        self._number, self.end = self._number + frames, end
        if end - self._marks[-1][1] >= _MARK_EVERY:
            self._marks.append((self._number, end))

    def read(self, offset: int, most: int) -> bytes:
        return os.pread(self._file, min(most, self.end - offset), offset)

    def overview(self, most: int) -> tuple[int, bytes]:
        """An overview, and the number of the first frame that it does not tell of."""
        most = min(most, _MOST_OVERVIEW)
        limit, when, number, data = self._overview
        if limit != most or time.monotonic() - when > _OVERVIEW_KEPT:
            frames = outline(self._history, Archive(self._file, self.end), most)
            number, data = self._number, b"".join(map(pack, frames))
            self._overview = most, time.monotonic(), number, data
        return number, data

    def names(self) -> bytes:
        """What the frames so far declare: what those that follow refer to by its number."""
        known = self._history
        declared: list[Frame] = [*known.labels.values(), *known.schemas.values()]
        declared += [track.segment for track in known.tracks.values()]
        return b"".join(map(pack, declared))

    def locate(self, since: int) -> int | None:
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

    def detail(self, fetch: wire.Fetch) -> bytes:
        """The answer to ``fetch``."""
        track = self._history.tracks.get((fetch.segment, fetch.rank))
        if track is None or abs(fetch.first) >= 1 << 62 or abs(fetch.last) >= 1 << 62:
            return b""
        return b"".join(map(pack, stretches(track, fetch.first, fetch.last, _DETAIL)))

    def close(self) -> None:
        os.close(self._file)
