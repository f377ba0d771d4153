"""The session file: an append-only row of frames that is one run.

One writer (the monitor); any number of readers, on the same machine or over a shared file system, while it
grows, after a crash, or from a copy made half-way. Nothing is rewritten in place. A torn last frame is left
for the next read; a damaged one is skipped to the next mark and counted.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from .frame import MARK, Commit, Frame, FrameError, pack, unpack

MAGIC = b"\x89NNW\r\n\x1a\n"
VERSION = 1
_PRELUDE = struct.Struct("<8sHHI")  # magic, major version, minor version, reserved
PRELUDE = _PRELUDE.pack(MAGIC, VERSION, 0, 0)
SUFFIX = ".nnw"
_CHUNK = 1 << 20


class SessionError(Exception):
    """One line for the user: what is wrong with the file, why, and what to do."""


def check(path: Path, head: bytes) -> tuple[int, int]:
    """Major and minor version of the format, from the file's first bytes.

    Raises SessionError unless ``head`` begins a session that this nnwatch can read.
    """
    if not head:
        raise SessionError(f"{path}: empty file, no run was recorded in it; pick another with `nnwatch ls`")
    if head[:8] != MAGIC[: len(head[:8])] or len(head) < 8:
        raise SessionError(f"{path}: not an nnwatch session; sessions are written by `nnwatch run` (*{SUFFIX})")
    if len(head) < _PRELUDE.size:
        raise SessionError(f"{path}: cut off inside its first {_PRELUDE.size} bytes, nothing can be read from it")
    _, major, minor, _ = _PRELUDE.unpack_from(head)
    if major > VERSION:
        raise SessionError(
            f"{path}: format version {major}, this nnwatch reads up to {VERSION}; `pip install -U nnwatch`"
        )
    return major, minor


def _next_whole(data: bytes, at: int) -> int | None:
    """Offset of the first whole frame from ``at`` on, None if there is none."""
    while (at := data.find(MARK, at)) >= 0:
        try:
            unpack(data, at)
        except (EOFError, FrameError):
            at += 1
        else:
            return at
    return None


class Piece(NamedTuple):
    """Bytes ``start`` to ``end``: a frame, None for one of a kind unknown here, or what is wrong with them."""

    start: int
    end: int
    frame: Frame | FrameError | None


def pieces(data: bytes, at: int = 0) -> Iterator[Piece]:
    """What ``data`` is made of from ``at`` on; damaged bytes reach to the next whole frame, a torn last one is left."""
    while at < len(data):
        try:
            frame, end = unpack(data, at)
        except (EOFError, FrameError):
            found = _next_whole(data, at + 1)
            if found is None:  # torn, or not all of it is visible yet
                return
            yield Piece(at, found, FrameError(f"bytes {at} to {found} are damaged"))
            at = found
        else:
            yield Piece(at, end, frame)
            at = end


class Parser:
    """Bytes of a session, piece by piece, to frames.

    ``number`` is the count of whole frames passed so far (unknown kinds too), which is also the cursor that a
    viewer resumes from; ``damaged`` counts the places where bytes had to be skipped, ``taken`` the bytes passed.
    """

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.damaged = 0
        self.taken = 0
        self._rest = b""

    def feed(self, chunk: bytes) -> list[Frame]:
        """Frames that are whole now. A torn last one waits for more."""
        frames: list[Frame] = []
        data = self._rest + chunk
        at = 0
        for _, at, frame in pieces(data):  # noqa: B007 - where the last whole frame ended
            if isinstance(frame, FrameError):
                self.damaged += 1
                continue
            self.number += 1
            if frame is not None:
                frames.append(frame)
        self._rest = data[at:]
        self.taken += at
        return frames

    @property
    def torn(self) -> bool:
        """Whether the bytes end inside a frame."""
        return bool(self._rest)

    def forget(self) -> None:
        """Drop a torn last frame: the next bytes begin with a whole one."""
        self._rest = b""


class Reader:
    """Reads a session from its start, again and again while it grows.

    Raises SessionError for anything that is no session.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            self._file = self.path.open("rb")
        except IsADirectoryError:
            raise SessionError(f"{path}: a directory, not a session file") from None
        except OSError as error:
            raise SessionError(f"{path}: cannot be read: {error.strerror}") from None
        try:
            check(self.path, self._file.read(_PRELUDE.size))
        except SessionError:
            self._file.close()
            raise
        self._parser = Parser()

    @property
    def offset(self) -> int:
        """Bytes of the file that were read as whole frames."""
        return _PRELUDE.size + self._parser.taken

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
        return self._parser.damaged

    def read(self, most: int = 1 << 30) -> list[Frame]:
        """Whole frames that came since the last call, about ``most`` bytes of them at the most."""
        frames: list[Frame] = []
        taken = 0
        while taken < most:
            chunk = self._file.read(min(_CHUNK, most - taken))
            if not chunk:
                break
            frames += self._parser.feed(chunk)
            taken += len(chunk)
        return frames

    def close(self) -> None:
        self._file.close()


class Writer:
    """Appends flushes: frames, then the Commit that names how far the rings were read.

    A flush is one ``write``; when the disk is full the part that got there is cut off again and the error is
    raised (OSError), so that the caller can try later with the same frames.
    """

    def __init__(self, path: str | os.PathLike[str], *, resume: bool = False) -> None:
        self.path = Path(path)
        self.commit = Commit(0.0)
        self._fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_CREAT | (0 if resume else os.O_EXCL), 0o644)
        try:
            self._end = self._recover() if resume else self._begin()
        except BaseException:
            os.close(self._fd)
            raise

    def _begin(self) -> int:
        return self._write(PRELUDE, 0)

    def _recover(self) -> int:
        """Cut off what follows the last Commit: its records are still in the rings and will be read again."""
        size = os.fstat(self._fd).st_size
        if size < len(PRELUDE):
            os.ftruncate(self._fd, 0)
            return self._begin()
        data = os.pread(self._fd, size, 0)
        check(self.path, data[: len(PRELUDE)])
        end = len(PRELUDE)
        for piece in pieces(data, end):
            if isinstance(piece.frame, Commit):
                self.commit, end = piece.frame, piece.end
        os.ftruncate(self._fd, end)
        return end

    @property
    def end(self) -> int:
        """Length of the session in bytes, up to its last Commit."""
        return self._end

    def append(self, frames: Iterable[Frame], commit: Commit) -> None:
        """Write one flush. Raises OSError (disk full) with the file as it was before."""
        data = b"".join([*map(pack, frames), pack(commit)])
        self._end = self._write(data, self._end)
        self.commit = commit

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
