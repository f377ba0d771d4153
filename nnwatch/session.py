"""The session file: an append-only row of frames that is one run.

One writer (the monitor); any number of readers, on the same machine or over a shared file system, while it
grows, after a crash, or from a copy made half-way. Nothing is rewritten in place. A torn last frame is left
for the next read; a damaged one is skipped to the next mark and counted.
"""

from __future__ import annotations

import os
import stat
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from .archive import Archive, Found
from .chapter import Chapters
from .frame import Block, Commit, Frame, pack
from .parser import PRELUDE, Parser, SessionError, check, pieces
from .seal import FrameError

_CHUNK = 1 << 20


class Reader:
    """Reads a session from its start, again and again while it grows.

    Chapters that are whole stand for the plain frames they tell again; all else is read as it was written. With
    ``committed`` it ends at the Commit that is the last one now. Raises SessionError for anything that is no session.
    """

    def __init__(self, path: str | os.PathLike[str], *, committed: bool = False) -> None:
        self.path = Path(path)
        try:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise SessionError(f"{path}: cannot be read: {error.strerror}") from None
        try:
            self.archive = Archive(self._fd, self._size())
        except BaseException:
            os.close(self._fd)
            raise
        chapters = list(self.archive.chapters())
        newest = chapters[0] if chapters else None
        self._past = self._told(chapters[::-1])
        self._left_out = 0
        self._base = newest.at if newest else len(PRELUDE)
        self._parser = Parser(newest.chapter.number if newest else 0)
        self._limit = self.archive.end if committed else sys.maxsize

    def _size(self) -> int:
        if stat.S_ISDIR(os.fstat(self._fd).st_mode):
            raise SessionError(f"{self.path}: a directory, not a session file")
        check(self.path, os.pread(self._fd, len(PRELUDE), 0))
        return os.fstat(self._fd).st_size

    @property
    def offset(self) -> int:
        """Bytes of the file that were read as whole frames."""
        return self._base + self._parser.taken

    @property
    def number(self) -> int:
        return self._parser.number

    def flaw(self, *, growing: bool = False) -> str | None:
        """What is missing of all that was read: one line for the user, None if it is whole.

        The end of a file that is still ``growing`` may be torn.
        """
        if self.damaged:
            places = "1 place, which was" if self.damaged == 1 else f"{self.damaged} places, which were"
            return f"{self.path}: damaged in {places} left out; take another copy of it"
        if self._parser.torn and not growing:
            return f"{self.path}: cut off at byte {self.offset}, what follows is missing; take another copy of it"
        return None

    @property
    def damaged(self) -> int:
        return self._left_out + self._parser.damaged

    def read(self, most: int = 1 << 30) -> list[Frame]:
        """Whole frames that came since the last call, about ``most`` bytes of them; none only where there are none."""
        frames: list[Frame] = []
        taken = 0
        for told, size in self._past:
            frames += told
            taken += size
            if taken >= most and frames:
                return frames
        while taken < most or not frames:  # a frame may be longer
            at = self._base + self._parser.seen
            chunk = os.pread(self._fd, min(_CHUNK, most, max(0, self._limit - at)), at)
            if not chunk:
                break
            frames += self._parser.feed(chunk)
            taken += len(chunk)
        return frames

    def recent(self, records: int) -> list[Frame]:
        """All that is no number, and at least the last ``records`` of what there is most of; ``read`` gives all again.

        Nothing of a session without chapters, which is read as fast.
        """
        if not self.archive.newest:
            return []
        tail = Parser().feed(os.pread(self._fd, self._size() - self._base, self._base))
        blocks = [frame for frame in tail if isinstance(frame, Block)]
        held = Counter[tuple[int, int, int]]()
        count = iter(blocks)
        story: list[Frame] = []
        for _, chapter in self.archive.chapters():
            story = (self.archive.story(chapter) or []) + story
            for one in count:
                held[one.schema, one.segment, one.rank] += one.count
            if max(held.values(), default=0) < records:
                new = [block for place in chapter.columns if (block := self.archive.columns(place)) is not None]
                blocks, count = new + blocks, iter(new)
        return [*story, *(frame for frame in tail if not isinstance(frame, Block)), *blocks]

    def _told(self, chapters: list[Found]) -> Iterator[tuple[list[Frame], int]]:
        """What comes before the newest Chapter, piece by piece, with the bytes that were read for it."""
        begin = len(PRELUDE)
        if chapters and (first := chapters[0].chapter.previous) > begin:
            yield from self._plain(begin, first)  # the row of chapters is broken there
        for at, chapter in chapters:
            told = self.archive.told(chapter)
            if told is None:
                yield from self._plain(max(begin, chapter.previous), chapter.story)
            else:
                yield told, at - chapter.story

    def _plain(self, begin: int, end: int) -> Iterator[tuple[list[Frame], int]]:
        parser = Parser()
        while begin < end and (chunk := os.pread(self._fd, min(_CHUNK, end - begin), begin)):
            yield parser.feed(chunk), len(chunk)
            begin += len(chunk)
        self._left_out += parser.damaged + parser.torn

    def close(self) -> None:
        os.close(self._fd)


class Writer:
    """Appends flushes: frames, then the Commit that names how far the rings were read; now and then a chapter.

    A flush is one ``write``; when the disk is full the part that got there is cut off again and the error is
    raised (OSError), so that the caller can try later with the same frames. ``end`` is the length of the session in
    bytes and ``number`` the count of its frames, up to the last Commit.
    """

    def __init__(self, path: str | os.PathLike[str], *, resume: bool = False) -> None:
        self.path = Path(path)
        self.commit = Commit(0.0)
        self.number = 0
        self._chapters = Chapters()
        self._fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_CREAT | (0 if resume else os.O_EXCL), 0o644)
        try:
            self.end = self._recover() if resume else self._write(PRELUDE, 0)
        except BaseException:
            os.close(self._fd)
            raise

    def _recover(self) -> int:
        """Cut off what follows the last Commit: its records are still in the rings and will be read again."""
        size = os.fstat(self._fd).st_size
        if size < len(PRELUDE):
            os.ftruncate(self._fd, 0)
            return self._write(PRELUDE, 0)
        check(self.path, os.pread(self._fd, len(PRELUDE), 0))
        archive = Archive(self._fd, size)
        self.commit, end = archive.commit or self.commit, archive.end or len(PRELUDE)
        self._chapters = Chapters.resumed(archive)
        newest = next(archive.chapters(), None)
        begin, self.number = (newest.at, newest.chapter.number) if newest else (len(PRELUDE), 0)
        data = os.pread(self._fd, end - begin, begin)
        for piece in pieces(data):
            if not isinstance(piece.frame, FrameError):
                self.number += 1
                self._chapters.add(piece.frame, data[piece.start : piece.end])
        os.ftruncate(self._fd, end)
        return end

    def append(self, frames: Iterable[Frame], commit: Commit) -> None:
        """Write one flush. Raises OSError (disk full) with the file as it was before."""
        closing = self._chapters.close(self.end, self.number) if self._chapters.due else None
        chapters = closing.then if closing else self._chapters
        commit = Commit(commit.time, commit.cursors, commit.dropped, chapters.newest)
        flush = [(frame, pack(frame)) for frame in (*frames, commit)]
        data = b"".join([closing.data if closing else b"", *(data for _, data in flush)])
        self.end = self._write(data, self.end)
        self.number += len(flush) + (closing.frames if closing else 0)
        self.commit, self._chapters = commit, chapters
        for frame, data in flush:
            chapters.add(frame, data)

    def _write(self, data: bytes, at: int) -> int:
        done = 0
        try:
            while done < len(data):
                done += os.pwrite(self._fd, data[done:], at + done)
        except OSError:
            os.ftruncate(self._fd, at)
            raise
        return at + len(data)

    def close(self) -> None:
        os.close(self._fd)
