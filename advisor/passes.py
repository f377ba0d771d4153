"""Validation, pass by pass: records of any validation metric summed or averaged per evaluation."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnwatch.series import Doubles, Steps

from .context import Context
from .finding import Abstain
from .script import layers
from .window import View

Indices = NDArray[np.intp]
LETTERS = 10
"""Classes from which a sequence model that looks its input up in a table is taken to predict letters or words."""
TOKENS = 30
"""Classes above which the outputs of a sequence model are taken for tokens."""


_COUNTS = ("target.val.count", "predicted.val.count", "right.val.count")


class Passes(NamedTuple):
    """The newest evaluations: training steps after which they ran (e,), ``values`` (e, width)."""

    steps: Steps
    values: Doubles


def edges(view: View) -> Indices:
    """Where each evaluation begins in a view of validation records, and its end: (e + 1,)."""
    return np.concatenate(([0], (view.steps[1:] != view.steps[:-1]).nonzero()[0] + 1, [len(view.steps)]))


def newest(at: Context, metric: str, count: int) -> View:
    """Records of the last ``count`` evaluations that have the metric."""
    view = at.view(metric)
    begin = len(view.steps)
    for _ in range(count):
        if begin:
            begin = int(np.searchsorted(view.steps, view.steps[begin - 1]))
    return View(view.series, view.steps[begin:], view.values[begin:])


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


class Classes(NamedTuple):
    """Counts per class of the newest evaluations: labels, predictions, and right ones, each (e, C)."""

    labels: Doubles
    predicted: Doubles
    right: Doubles

    @property
    def recall(self) -> Doubles:
        """Share of each class's samples that were predicted right (C,), over all these evaluations; NaN for none."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.right.sum(0) / self.labels.sum(0))

    @property
    def chance(self) -> tuple[float, float]:
        """Balanced accuracy and three standard errors of it if every prediction were a guess."""
        known = self.labels.sum(0) > 0
        c, n = int(known.sum()), self.labels[-1][known]
        error = np.sqrt(np.sum((1 / c) * (1 - 1 / c) / np.maximum(n, 1))) / c
        return float(np.mean(self.recall[known])), 3 * float(error)

    @property
    def guessing(self) -> bool:
        """The classes are told apart no better than by a guess."""
        balanced, error = self.chance
        return balanced <= 1 / int((self.labels.sum(0) > 0).sum()) + error


def classes(at: Context, count: int) -> Classes:
    """The last ``count`` evaluations of a classification. Raises Abstain where there are not that many."""
    return at.once(f"classes of {count}", _COUNTS, lambda: _classes(at, count))


def _classes(at: Context, count: int) -> Classes:
    found = [sums(at, name, count).values for name in _COUNTS]
    if any(len(values) < count for values in found) or not found[0].any():
        raise Abstain(f"it needs {count} evaluations with their labels and predictions counted")
    return Classes(*found)


def dense(at: Context) -> bool:
    """There are many labels to a sample (pixels, tokens), not one.

    By the shapes of the first step, or by counting labels in validation; a sequence model over many classes predicts
    tokens, however its outputs were flattened for the loss.
    """
    return at.once("dense", ("target.val.count", "val.size"), lambda: _dense(at))


def _dense(at: Context) -> bool:
    shapes = at.facts.get("shapes") or {}
    if shapes.get("target") and shapes.get("input"):
        each = shapes["target"][1] if shapes["target"] == shapes.get("output") and len(shapes["target"]) > 1 else 1
        return bool(math.prod(shapes["target"]) > 1.5 * shapes["input"][0] * each)  # a share for each class is no label
    classes, embedded = (
        int(at.facts.get("classes") or 0),
        any(r[1] == "Embedding" for r in at.facts.get("modules") or ()),
    )
    sequence = bool(at.facts.get("attention") or layers(at).get("recurrent"))
    if (embedded or sequence) and classes > (LETTERS if embedded and sequence else TOKENS):
        return True
    if not (at.has("target.val.count") and at.has("val.size")):
        return False
    labels = float(np.nansum(at.view("target.val.count").values[-1]))
    return labels > 1.5 * float(at.view("val.size").scalar[-1])
