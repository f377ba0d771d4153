"""Bytes of a session to frames, piece by piece: what is torn waits for more, what is damaged is passed over."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .frame import RETOLD, Frame, Stretch, unpack
from .seal import MARK, FrameError

MAGIC = b"\x89NNW\r\n\x1a\n"
VERSION = 1
_PRELUDE = struct.Struct("<8sHHI")  # magic, major version, minor version, reserved
PRELUDE = _PRELUDE.pack(MAGIC, VERSION, 3, 0)
SUFFIX = ".nnw"


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
            self.number += not isinstance(frame, Stretch)  # no part of the session
            if frame is not None and not isinstance(frame, RETOLD):  # what they say came already
                frames.append(frame)
        self._rest = data[at:]
        self.taken += at
        return frames

    @property
    def seen(self) -> int:
        """Bytes given so far."""
        return self.taken + len(self._rest)

    @property
    def torn(self) -> bool:
        """Whether the bytes end inside a frame."""
        return bool(self._rest)

    def forget(self) -> None:
        """Drop a torn last frame: the next bytes begin with a whole one."""
        self._rest = b""
