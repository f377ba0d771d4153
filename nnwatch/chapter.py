"""Chapters: what is added to a session so that a million steps open at once.

Now and then everything that came since the last time is told again: the numbers in long compressed columns, all else
as it was, and overviews of the numbers. Each chapter names the one before it, and every Commit the newest, so a reader
finds them from the end of the file. The plain frames stay where they are: who reads those misses nothing, and
nothing is lost with a chapter that is torn or damaged.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from .archive import Archive
from .frame import RETOLD, Block, Commit, Frame, Schema, pack
from .overview import Buckets
from .retold import Chapter, Columns, Level, Place, Story
from .squeeze import squeeze

_BYTES = 1 << 18
_FRAMES = 512
"""Frames or bytes after which a chapter is made: what is read frame by frame at the end of a file stays short."""
_RECORDS = 4096
"""In one Columns frame, which is read as a whole: the way to one step stays short."""
SPAN = 16
"""Overviews of one level that become one of the next."""

_Key = tuple[int, int, int]
"""Schema, segment, rank."""
_Rows = tuple[Any, Any, Any]
"""Steps (n,), times (n,), values (columns, n)."""


class _Seen(NamedTuple):
    """Overviews of everything since the Chapter at byte ``since``, with the step of each one's first record."""

    since: int
    buckets: dict[_Key, tuple[int, Buckets]]


class Closing(NamedTuple):
    """The bytes of a chapter, how many frames they are, where its Chapter begins, and who gathers the next one."""

    data: bytes
    frames: int
    at: int
    then: Chapters


class Chapters:
    """Gathers what is written to a session until it is time for a chapter.

    ``newest`` is where the last Chapter begins in the file, 0 before there is one.
    """

    def __init__(self, newest: int = 0) -> None:
        self.newest = newest
        self._levels: list[list[_Seen]] = []
        self._kinds: dict[int, str] = {}
        self._frames = 0
        self._bytes = 0
        self._story: list[bytes] = []
        self._runs: list[tuple[_Key, list[Block]]] = []
        self._open: dict[tuple[str, int, int], tuple[_Key, list[Block]]] = {}

    @classmethod
    def resumed(cls, archive: Archive) -> Chapters:
        """As they were when the newest Chapter had been written."""
        found = list(archive.chapters())
        new = cls(found[0].at if found else 0)
        for _, chapter in reversed(found):
            for frame in archive.story(chapter) or []:
                if isinstance(frame, Schema):
                    new._kinds[frame.id] = frame.name
        for depth, level in archive.covering():
            new._levels += [[] for _ in range(len(new._levels), depth + 1)]
            read = ((place, archive.buckets(place)) for place in level.places)
            known = {(p.schema, p.segment, p.rank): (p.first_step, b) for p, b in read if b is not None}
            new._levels[depth].insert(0, _Seen(level.since, known))
        return new

    @property
    def due(self) -> bool:
        return self._bytes >= _BYTES or self._frames >= _FRAMES

    def add(self, frame: Frame | None, data: bytes) -> None:
        """A frame that is in the file now, and its bytes."""
        self._frames += 1
        self._bytes += len(data)
        if isinstance(frame, Block) and frame.count and len(frame.values) % (4 * frame.count) == 0:
            self._block(frame)
        elif not isinstance(frame, (Commit, *RETOLD)):  # one of a kind that is not known here goes on as it is
            self._story.append(data)
            if isinstance(frame, Schema):
                self._kinds[frame.id] = frame.name

    def _block(self, block: Block) -> None:
        """Blocks of a schema go into one run until another schema of the same name takes over: a metric's records
        stay in their order."""
        kind = (self._kinds.get(block.schema, str(block.schema)), block.segment, block.rank)
        key = (block.schema, block.segment, block.rank)
        if kind not in self._open or self._open[kind][0] != key:
            self._open[kind] = key, []
            self._runs.append(self._open[kind])
        self._open[kind][1].append(block)

    def close(self, at: int, number: int) -> Closing:
        """The chapter of all that was added, to be written at byte ``at`` behind ``number`` frames."""
        file = _Bytes(at)
        story = file.put(Story(zlib.compress(b"".join(self._story))))
        rows = [(key, _rows(blocks)) for key, blocks in self._runs]
        columns = [place for key, run in rows for place in _columns(file, key, run)]
        levels = [list(level) for level in self._levels]
        overviews: list[Level] = []
        seen: _Seen | None = _Seen(self.newest, _buckets(rows))
        while seen is not None:
            overviews.append(_level(file, seen))
            if len(levels) < len(overviews):
                levels.append([])
            waiting = levels[len(overviews) - 1]
            waiting.append(seen)
            seen = None
            if len(waiting) == SPAN:
                seen = _Seen(waiting[0].since, _together(part.buckets for part in waiting))
                waiting.clear()
        before = file.frames
        place = file.put(Chapter(number + before, self.newest, story, columns, overviews))
        then = Chapters(place)
        then._levels, then._kinds = levels, self._kinds
        return Closing(bytes(file.data), file.frames, place, then)


class _Bytes:
    """Frames on their way to byte ``at`` of the file."""

    def __init__(self, at: int) -> None:
        self.data = bytearray()
        self.frames = 0
        self._at = at

    def put(self, frame: Frame) -> int:
        """Where the frame will begin."""
        place = self._at + len(self.data)
        self.data += pack(frame)
        self.frames += 1
        return place


def _rows(blocks: list[Block]) -> _Rows:
    steps = np.concatenate([np.frombuffer(block.steps, np.int64) for block in blocks])
    times = np.concatenate([np.frombuffer(block.times, np.float64) for block in blocks])
    values = [np.frombuffer(block.values, np.float32).reshape(-1, block.count) for block in blocks]
    return steps, times, np.concatenate(values, axis=1)


def _columns(file: _Bytes, key: _Key, rows: _Rows) -> Iterable[Place]:
    steps, times, values = rows
    for begin in range(0, len(steps), _RECORDS):
        part = slice(begin, begin + _RECORDS)
        data = squeeze(steps[part], times[part], np.ascontiguousarray(values[:, part]))
        at = file.put(Columns(*key, len(steps[part]), data))
        yield Place(at, *key, int(steps[part][0]), int(steps[part][-1]))


def _buckets(runs: list[tuple[_Key, _Rows]]) -> dict[_Key, tuple[int, Buckets]]:
    parts: dict[_Key, tuple[int, list[Buckets]]] = {}
    for key, rows in runs:
        parts.setdefault(key, (int(rows[0][0]), []))[1].append(Buckets.of(*rows))
    return {key: (first, Buckets.together(these)) for key, (first, these) in parts.items()}


def _together(parts: Iterable[dict[_Key, tuple[int, Buckets]]]) -> dict[_Key, tuple[int, Buckets]]:
    all_of: dict[_Key, tuple[int, list[Buckets]]] = {}
    for part in parts:
        for key, (first, buckets) in part.items():
            all_of.setdefault(key, (first, []))[1].append(buckets)
    return {key: (first, Buckets.together(these)) for key, (first, these) in all_of.items()}


def _level(file: _Bytes, seen: _Seen) -> Level:
    places = [
        Place(file.put(buckets.frame(*key)), *key, first, int(buckets.steps[-1]))
        for key, (first, buckets) in seen.buckets.items()
    ]
    return Level(seen.since, places)
