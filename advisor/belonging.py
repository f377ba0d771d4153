"""Do targets belong to their samples? What its own costs a sample, against those of others, whatever the loss."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .context import DENSE, Context
from .finding import Abstain
from .passes import edges

PAIRS = 2
"""Pairs that a sample is part of."""
CONSEQUENCES = {
    "not-learning", "prediction-collapse", "plateau", "underfitting", "undertrained", "val-noise", "below-baseline",
    "label-misaligned", "label-noise", "lr-needs-decay", "oscillation", "miscalibrated", "class-imbalance",
    "overfitting", "background-collapse", "step-outlier", "data-bottleneck", "gpu-idle", "memory-leak",
}  # fmt: skip
"""Findings that do not explain why targets fit no better than a guess."""
DEATHS = {"dead-relu", "input-ignored", "vanishing-gradient", "saturated-activation"}
"""What comes of units that die."""


class Fit(NamedTuple):
    """``share`` of the pairs in which the own target costs less, 0.5 for a guess; ``error`` is one standard error of
    it, ``step`` that of the first of these pairs."""

    share: float
    error: float
    step: int

    @property
    def told(self) -> bool:
        """It is no guess: by more than four standard errors."""
        return self.share > 0.5 + 4 * self.error

    @property
    def guessed(self) -> bool:
        """It may be a guess."""
        return abs(self.share - 0.5) <= 2.5 * self.error

    @property
    def seems_told(self) -> bool:
        """It is hardly a guess: by more than three standard errors."""
        return self.share > 0.5 + 3 * self.error

    @property
    def no_better(self) -> bool:
        """It may be a guess, or worse than one: what was learned by heart of other samples misleads."""
        return self.share <= 0.5 + 2.5 * self.error

    def under(self, share: float) -> bool:
        """And enough pairs say so: this share is two standard errors away."""
        return self.share + 2 * self.error < share

    def beside(self, other: Fit) -> float:
        """How many standard errors this is above another."""
        return (self.share - other.share) / math.hypot(self.error, other.error)


def explained(at: Context) -> bool:
    """Another finding may be why targets fit no better than a guess. Not units that died late: while they lived the
    net did not learn either, and what has nothing to say dies."""
    others = at.opened - CONSEQUENCES
    return bool(others - DEATHS if died_late(at) else others)


def died_late(at: Context) -> bool:
    """Many units were alive for the first steps, in which a rate that is too high or a bad start would kill them."""
    return "dead-relu" in at.opened and at.dead_before(at.track.segment.first_step + DENSE) < 0.7


def kinds(at: Context) -> range:
    """Places of the kinds of loss calls that were compared in training."""
    return range(at.view("target.match").values.shape[1])


def trained(at: Context, part: float, kind: int = 0) -> Fit:
    """Of the training batches after this part of the steps so far. Raises Abstain where none were compared."""
    first = at.track.segment.first_step
    found = _fit(at, "target", kind, first + int(part * (at.step - first)), at.step)
    if found is None:
        raise Abstain("no late batch was compared with the targets of others")
    return found


def new_rows(at: Context, kind: int = 0) -> Fit | None:
    """Of training rows when they first came: the first pass but for its beginning. None where that is not known."""
    passing, first = int(at.facts.get("steps_per_epoch") or 0), at.track.segment.first_step
    return _fit(at, "target", kind, first + 1 + passing // 4, first + passing) if passing >= 8 else None


def held_out(at: Context, part: float, kind: int = 0) -> Fit | None:
    """Of the evaluations after this part of the steps so far; None where none was compared."""
    first = at.track.segment.first_step
    return _fit(at, "target.val", kind, first + int(part * (at.step - first)), at.step)


def validated(at: Context, kind: int = 0) -> list[Fit]:
    """Of each evaluation that was looked at in detail; empty where none was."""
    return at.once(f"validated {kind}", ("target.val.match", "target.val.pairs"), lambda: _validated(at, kind))


def _validated(at: Context, kind: int) -> list[Fit]:
    if not at.has("target.val.match"):
        return []
    share, pairs = at.view("target.val.match"), at.view("target.val.pairs")
    if kind >= share.values.shape[1]:
        return []

    def of(a: int, b: int) -> Fit | None:
        return _of(share.values[a:b, kind], pairs.values[a:b, kind], int(share.steps[a]))

    bounds = pairwise(edges(share).tolist())
    each = (at.first(f"validated {kind}: {a} to {b}", partial(of, a, b)) for a, b in bounds)
    return [fit for fit in each if fit is not None]


def _fit(at: Context, metric: str, kind: int, begin: int, end: int) -> Fit | None:
    """Of the records of these steps, both included."""
    if not at.has(f"{metric}.match"):
        return None
    share, pairs = (at.view(f"{metric}.{part}").since(begin).before(end + 1) for part in ("match", "pairs"))
    if not len(share.steps) or kind >= share.values.shape[1]:
        return None
    return _of(share.values[:, kind], pairs.values[:, kind], int(share.steps[0]))


def _of(share: np.ndarray, pairs: np.ndarray, step: int) -> Fit | None:
    """None where no pairs were compared."""
    known = np.isfinite(share) & np.isfinite(pairs)
    total = float(pairs[known].sum(dtype=np.float64))
    if not total:
        return None
    mean = float((share[known] * pairs[known]).sum(dtype=np.float64)) / total
    return Fit(mean, 0.5 / math.sqrt(total / PAIRS), step)
