"""Epochs that a training has behind it which goes on from a checkpoint, as the script counts them itself."""

from __future__ import annotations

import ast

from .loops import UnknownError, loops_of
from .source import frames
from .variables import stands_for


def passed(first: int, batches: int | None, saved: int | None) -> int:
    """How many there were before the backward pass that is running, in the ``first`` steps; 0 where nobody says.
    A pass over the loader takes ``batches``; ``saved`` is the epoch that the checkpoint holds.

    Loops count from 0 or from 1, and a checkpoint holds the epoch that was made last or the one that comes: the steps
    show which, where they make whole epochs.
    """
    counted = _counted()
    if counted is None:
        likely = (saved + 1, saved) if saved is not None else (0,)
    elif saved is not None and counted < saved:  # it counts anew
        likely = (0,)
    else:
        likely = (0, 1) if counted == 1 and saved is None else (counted, max(counted - 1, 0))
    made = first / batches if first and batches else None
    return next((epochs for epochs in likely if epochs == made), likely[0])


def _counted() -> int | None:
    """The variable of the innermost loop over epochs that is running, by its name."""
    for frame in frames():
        try:
            loops = loops_of(frame)
        except UnknownError:
            continue
        for loop in reversed(loops):
            target = loop.target if isinstance(loop, ast.For) else None
            if isinstance(target, ast.Name) and "epoch" in target.id.lower():
                at = stands_for(target.id, frame)
                return at if type(at) is int and at >= 0 else None
    return None
