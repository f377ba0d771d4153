"""Where the user's own code stands."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType, FrameType
from typing import NamedTuple

import torch

Place = tuple[tuple[CodeType, ...], int]
"""Where a function is called from: the code of the frames from the innermost one to the user's, and the instruction
that is running in that."""
_OURS = tuple({os.path.dirname(find(__file__)) + os.sep for find in (os.path.realpath, os.path.abspath)})
_OTHERS = tuple(
    {
        *_OURS,
        os.path.dirname(os.path.dirname(os.path.abspath(torch.__file__))) + os.sep,
        os.path.dirname(os.__file__) + os.sep,
        os.path.dirname(sys.executable) + os.sep,
        "<frozen",
    }
)


class Line(NamedTuple):
    """A place in the user's own source."""

    path: str
    number: int

    def __str__(self) -> str:
        return f"{os.path.basename(self.path)}:{self.number}"


def frames() -> Iterator[FrameType]:
    """The user's own frames on the stack, innermost first: no library, nothing of ours."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if is_own(frame.f_code.co_filename):
            yield frame
        frame = frame.f_back


def caller() -> tuple[FrameType | None, Place]:
    """The user's innermost frame, and the place from which it has called what called us; None where there is none."""
    codes: list[CodeType] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if codes or not is_ours(path):
            codes.append(frame.f_code)
        if is_own(path):
            return frame, (tuple(codes), frame.f_lasti)
        frame = frame.f_back
    return None, ((), 0)


@lru_cache(maxsize=256)
def is_ours(path: str) -> bool:
    """Is this a file of the probes?"""
    return path.startswith(_OURS)


@lru_cache(maxsize=1024)
def is_own(path: str) -> bool:
    """Is this a file of the user's?"""
    return not path.startswith(_OTHERS) and "-packages" + os.sep not in path


def lines() -> list[Line]:
    """Where the user's own code stands, innermost first."""
    return [line_of(frame) for frame in frames()]


def line_of(frame: FrameType) -> Line:
    """The line that is running in it."""
    return Line(frame.f_code.co_filename, frame.f_lineno)
