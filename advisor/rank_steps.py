"""What several ranks measured at the same steps, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from nnwatch.series import Floats, Steps

from .context import Context
from .finding import Abstain, number
from .machine import ranks
from .window import View

_RECENT = 500
"""Newest records of each rank among which those of the same steps are looked for."""
_GRADIENTS = 64
"""Newest steps among which gradients are looked for that were measured on all ranks."""
_ROUNDING = 1e-3
"""By which equal gradients may differ on two ranks, as a share of their norm."""


def shared_steps(views: Mapping[int, View], newest: int = _RECENT) -> Steps:
    """The ``newest`` steps, at most, that all of them have. Raises Abstain where there is none."""
    shared, *others = [view.steps[-_RECENT:] for view in views.values()] or [np.empty(0, np.int64)]
    for steps in others:
        shared = shared[np.isin(shared, steps, assume_unique=True)]
    if not others or not len(shared):
        raise Abstain("no step was measured on all ranks")
    return shared[-newest:]


def at_steps(views: Mapping[int, View], steps: Steps) -> Floats:
    """Values of all ranks at these steps (ranks, n)."""
    return np.stack([view.scalar[np.searchsorted(view.steps, steps)] for view in views.values()])


def rest(rows: Floats) -> Floats:
    """Of values of each rank (ranks, n) what is usual among the others (ranks, n): the median, of two the other one."""
    usual: Floats = rows[::-1] if len(rows) == 2 else np.broadcast_to(np.median(rows, axis=0), rows.shape)
    return usual


class Gradients(NamedTuple):
    """What they say of why the weights of two ranks differ."""

    averaged: bool
    why: str


def gradients(at: Context) -> Gradients | None:
    """Of whole nets, None where they were not measured at the same step. Those of shards are each of another part."""
    views = ranks(at, "grad.norm")
    try:
        shared = shared_steps(views, _GRADIENTS)
    except Abstain:
        return None
    last = at_steps(views, shared)[:, -1]
    if not np.isfinite(last).all():
        return None
    low, high = float(last.min()), float(last.max())
    if high - low > _ROUNDING * high:
        said = f"the norms of their gradients are {number(low)} and {number(high)} at step {shared[-1]}"
        return Gradients(False, f"{said}: nothing averages them")
    said = f"the norms of their gradients are equal ({number(high)} at step {shared[-1]})"
    return Gradients(True, f"{said}: they are averaged, and the weights were changed in another way")
