"""The stages of a step in the lane (``lane.py``), and what it has seen when it leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from .clock import UNSTEPPED

CLOSED, LOSS, BACKWARD, INSIDE, STEP, STEPPING = range(6)
"""The long way; a loss call is due; a backward pass is due; it runs; the optimizer's step is due; it runs."""
ENTRY, NEXT, EXIT = 6, 7, 8
"""No stages, but what a hook before a forward pass, what gives a loader's batches, and a hook after a forward pass are
patched as."""
CALL, MORE, TOTAL, OWN = range(4)
"""Forms of what is trained on: the value of the loss call, or several of them; that of one and more (a penalty, a
factor); the same, where the call only adds up (reduction="sum"), so that its value is no loss of a step; no loss call,
but arithmetic of the script's own."""
DEPTH = 64
"""Nodes looked at, at most, between what is trained on and the values of the loss calls."""
CALLS = 5
"""Loss calls before a backward pass, at most: as many as keep their graph on the long way."""
TAKEN = 64
"""Loss calls in a step whose lines are told apart, at most."""
PASSES = UNSTEPPED - 1
"""Backward passes in a step, at most: with one more it might be that they end the steps."""

Call = tuple[str, Callable[..., torch.Tensor], tuple[Any, ...], dict[str, Any]]
"""A loss call: name, function, args, kwargs."""


class Said(NamedTuple):
    """A loss call whose value is ``number``, made by ``node`` of the graph; ``site`` is its line's number among those
    of ``Terms``, below 0 where that is not asked for."""

    call: Call
    number: float
    node: Any
    site: int


class Left(NamedTuple):
    """What a step had seen when it left the lane in ``stage``. ``pending`` calls wait for a backward pass; the last one
    began at ``node``, for the call ``trained`` first of all. Either is None where it is no longer needed. ``loss`` and
    ``root`` are sums over ``passes``, ``summed`` as of ``Training``; ``taken`` are sites and values of the loss calls
    that these were for. Of its optimizers ``done`` have stepped."""

    stage: int
    pending: tuple[Said, ...]
    trained: Said | None
    node: Any
    passes: int
    loss: float
    root: float
    summed: bool
    taken: tuple[tuple[int, float], ...]
    done: int


def leads(node: Any, wanted: list[Any]) -> bool:
    """Are all of ``wanted`` among the nodes that ``node`` was made from?"""
    queue, left = [node], list(wanted)
    for node in queue:
        if node in left:
            left.remove(node)
            if not left:
                return True
        for below, _ in node.next_functions:
            if below is not None and len(queue) < DEPTH:
                queue.append(below)
    return False
