"""Validation, pass by pass: records of any validation metric summed or averaged per evaluation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnwatch.history import Doubles, Steps

from .context import Context
from .window import View

Indices = NDArray[np.intp]


class Passes(NamedTuple):
    """The newest evaluations: training steps after which they ran (e,), ``values`` (e, width)."""

    steps: Steps
    values: Doubles


def edges(view: View) -> Indices:
    """Where each evaluation begins in a view of validation records, and its end: (e + 1,)."""
    return np.concatenate(([0], np.flatnonzero(np.diff(view.steps)) + 1, [len(view.steps)]))


def newest(at: Context, metric: str, count: int) -> View:
    """Records of the last ``count`` evaluations that have the metric."""
    view = at.view(metric)
    first = edges(view)
    return view.since(int(view.steps[first[max(0, len(first) - 1 - count)]]))


def sums(at: Context, metric: str, count: int) -> Passes:
    """Sums over the batches of each of the last ``count`` evaluations: counts per class or bin."""
    view = newest(at, metric, count)
    first = edges(view)[:-1]
    return Passes(view.steps[first], np.add.reduceat(np.nan_to_num(view.values).astype(np.float64), first, axis=0))


def means(at: Context, metric: str, count: int) -> Passes:
    """Means over the batches of each of the last ``count`` evaluations, every batch counting the same."""
    view = newest(at, metric, count)
    bounds = edges(view)
    first, size = bounds[:-1], np.diff(bounds)
    return Passes(view.steps[first], np.add.reduceat(view.values.astype(np.float64), first, axis=0) / size[:, None])
