"""Where the user's own code stands."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import lru_cache
from types import FrameType
from typing import NamedTuple

import torch

_OTHERS = tuple(
    {
        os.path.dirname(os.path.dirname(os.path.abspath(torch.__file__))) + os.sep,
        os.path.dirname(os.path.realpath(__file__)) + os.sep,
        os.path.dirname(os.path.abspath(__file__)) + os.sep,
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
