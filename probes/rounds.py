"""How often a line of the user's will run, read from the loops around it: a wrong answer is worse than none.

The source says what the loops are, the frames what their limits are worth now; none of the user's code is run.
"""

from __future__ import annotations

import ast
import math
import os
import sys
from types import FrameType
from typing import NamedTuple

from .expressions import endless, length_of
from .limits import Limit, is_set, limits_of
from .loops import Loop, UnknownError, inside, loops_of, said_of
from .source import Line, frames, is_own

HARMLESS = ("torch", "nnwatch", "accelerate", "tqdm", "click", "hydra", "typer", "fire", "absl", "lightning_fabric")
"""Packages that may stand between two lines of the user's without going round in loops of their own."""


class Rounds(NamedTuple):
    times: int
    said: str
    """The loops as the source says them, outermost first."""


def rounds(made: list[Line], batches: int | None) -> Rounds | None:
    """How often the line that is now running for the first time will run in all; None if that cannot be told.

    An innermost loop over a call that is not understood is taken to go over the loader read last, of ``batches``
    batches. Loops that also enclose ``made`` (where the optimizer was made) are no part of one training: folds, sweeps.
    """
    own = list(frames())
    if _in_the_hands_of_others(own):
        return None
    try:
        around = [
            (frame, loop)
            for frame in reversed(own)
            for loop in loops_of(frame)
            if not any(line.path == frame.f_code.co_filename and inside(loop, line.number) for line in made)
        ]
        times, said = _times(around, batches), ", ".join(said_of(loop) for _, loop in around)
    except UnknownError:
        return None
    return Rounds(times, said) if said and times > 0 else None


def _in_the_hands_of_others(own: list[FrameType]) -> bool:
    """Does a library that may have loops of its own stand between the user's outermost line and this one?"""
    outermost = own[-1] if own else None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame is not outermost:
        path = frame.f_code.co_filename
        _, packages, inner = path.partition("-packages" + os.sep)
        if packages and not is_own(path) and inner.split(os.sep)[0] not in HARMLESS:
            return True
        frame = frame.f_back
    return False


def _times(around: list[tuple[FrameType, Loop]], batches: int | None) -> int:
    """Runs of the innermost line in all rounds of these loops, outermost first."""
    if not around:
        return 1
    (frame, loop), inner = around[0], around[1:]
    limits = limits_of(loop, frame, around)
    here = {(limit.name, limit.rounds) for limit in limits}
    if isinstance(loop, ast.For):
        length = length_of(loop.iter, frame)
        if length is None and not inner and isinstance(loop.iter, ast.Call) and not endless(loop.iter):
            length = batches
        if length is not None:
            limits.append(Limit(loop, length, "", False))
    if not limits:
        raise UnknownError
    rounds = [limit.rounds for limit in limits if limit.loop is loop]
    total = [limit.rounds for limit in limits if limit.loop is not loop]
    times = min(rounds) * _times(inner, batches) if rounds else None
    if total:
        whole = _whole(inner, batches, min(total))
        if any(limit.equal and limit.rounds != whole for limit in limits if limit.loop is not loop):
            raise UnknownError  # the very number may never be met
        times = whole if times is None else min(times, whole)
    assert times is not None
    for other, each in inner:
        for limit in limits_of(each, other, inner):
            over = (limit.name, limit.rounds) in here or is_set(loop, limit.name)
            if limit.name and not over and limit.rounds < times:  # it ends the inner loop again and again
                raise UnknownError
    return times


def _whole(inner: list[tuple[FrameType, Loop]], batches: int | None, total: int) -> int:
    """``total`` runs of the innermost line end a loop outside of ``inner``: at once if the innermost loop looks at that
    too, else when the inner loops are through."""
    frame, innermost = inner[-1]
    if any(limit.rounds == total for limit in limits_of(innermost, frame, inner[-1:])):
        return total
    each = _times(inner, batches)
    return math.ceil(total / each) * each
