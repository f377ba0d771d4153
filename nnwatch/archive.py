"""A session opened from its end: the newest Commit names the newest Chapter, and each Chapter the one before.

Whatever is damaged comes back as None or ends the row; the caller has the plain frames then.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from .frame import Block, Commit, Frame, unpack
from .overview import Buckets
from .retold import Chapter, Columns, Level, Overview, Place, Story
from .seal import HEAD_SIZE, LIMIT, MARK, FrameError
from .squeeze import inflated, unsqueezed

_NEAR = 1 << 12
"""Bytes read at once where a frame begins: most chapters are no longer."""
_WINDOW = 1 << 16
"""Bytes at the end of the file that are searched first for a Commit."""


class Found(NamedTuple):
    """A chapter and the byte where its Chapter frame begins."""

    at: int
    chapter: Chapter


class Archive:
    """The first ``size`` bytes of the session that is open as ``fd``.

    ``commit`` is the last whole Commit and ``end`` the byte behind it; None and 0 if there is none.
    """

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self._size = size
        self.commit, self.end = self._last_commit()

    @property
    def newest(self) -> int:
        """Where the newest Chapter begins, 0 if there is none."""
        return self.commit.chapter if self.commit is not None else 0

    def _last_commit(self) -> tuple[Commit | None, int]:
        window, beyond = _WINDOW, self._size
        while beyond > 0:
            begin = max(0, self._size - window)
            data = os.pread(self._fd, self._size - begin, begin)
            at = min(len(data), beyond - begin + len(MARK) - 1)  # what begins further on was looked at
            while (at := data.rfind(MARK, 0, at)) >= 0:
                try:
                    frame, end = unpack(data, at)
                except (EOFError, FrameError):
                    continue
                if isinstance(frame, Commit):
                    return frame, begin + end
            beyond, window = begin, 8 * window
        return None, 0

    def _frame(self, at: int) -> Frame | None:
        if not 0 < at <= self._size - HEAD_SIZE:
            return None
        data = os.pread(self._fd, _NEAR, at)
        missing = HEAD_SIZE + int.from_bytes(data[4:8], "little") - len(data)
        if missing > min(LIMIT, self._size - at):
            return None
        if missing > 0:
            data += os.pread(self._fd, missing, at + len(data))
        try:
            return unpack(data)[0]
        except (EOFError, FrameError):
            return None

    def _chapter(self, at: int) -> Chapter | None:
        frame = self._frame(at)
        return frame if isinstance(frame, Chapter) and 0 <= frame.previous < at else None

    def chapters(self) -> Iterator[Found]:
        """Newest first, as far as the row holds: at its other end the last one's ``previous`` is 0."""
        at = self.newest
        while at and (chapter := self._chapter(at)) is not None:
            yield Found(at, chapter)
            at = chapter.previous

    def covering(self) -> Iterator[tuple[int, Level]]:
        """The fewest overviews that reach over all chapters, newest first, with their level counted from 0."""
        at = self.newest
        while at and (chapter := self._chapter(at)) is not None and chapter.overviews:
            level = chapter.overviews[-1]
            yield len(chapter.overviews) - 1, level
            if not level.since < at:
                return
            at = level.since

    def story(self, chapter: Chapter) -> list[Frame] | None:
        """All that is no number."""
        found = self._frame(chapter.story)
        if not isinstance(found, Story):
            return None
        try:
            data = inflated(found.data)
        except zlib.error:
            return None
        frames: list[Frame] = []
        at = 0
        while at < len(data):
            try:
                frame, at = unpack(data, at)
            except (EOFError, FrameError):
                return None
            if frame is not None:
                frames.append(frame)
        return frames

    def columns(self, place: Place) -> Block | None:
        found = self._frame(place.at)
        return unsqueezed(found) if isinstance(found, Columns) and _fits(found, place) else None

    def buckets(self, place: Place) -> Buckets | None:
        found = self._frame(place.at)
        return Buckets.read(found) if isinstance(found, Overview) and _fits(found, place) else None

    def told(self, chapter: Chapter) -> list[Frame] | None:
        """Everything the chapter tells again; None if any of it is damaged."""
        story = self.story(chapter)
        blocks = [self.columns(place) for place in chapter.columns]
        if story is None or any(block is None for block in blocks):
            return None
        return [*story, *(block for block in blocks if block is not None)]


def _fits(frame: Columns | Overview, place: Place) -> bool:
    return (frame.schema, frame.segment, frame.rank) == (place.schema, place.segment, place.rank)
