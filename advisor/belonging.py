"""Do targets belong to their samples? What its own costs a sample, against those of others, whatever the loss."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .context import Context
from .finding import Abstain
from .passes import edges

PAIRS = 2
"""Pairs that a sample is part of."""


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

    def under(self, share: float) -> bool:
        """And enough pairs say so: this share is two standard errors away."""
        return self.share + 2 * self.error < share


def _fit(share: np.ndarray, pairs: np.ndarray, step: int) -> Fit:
    known = np.isfinite(share) & np.isfinite(pairs)
    total = float(pairs[known].sum(dtype=np.float64))
    if not total:
        raise Abstain("no samples were compared with each other's targets")
    mean = float((share[known] * pairs[known]).sum(dtype=np.float64)) / total
    return Fit(mean, 0.5 / math.sqrt(total / PAIRS), step)


def trained(at: Context, part: float) -> Fit:
    """Of the training batches after this part of the steps so far. Raises Abstain where none were compared."""
    first = at.track.segment.first_step
    since = first + int(part * (at.step - first))
    share, pairs = at.view("target.match").since(since), at.view("target.pairs").since(since)
    if not len(share.steps):
        raise Abstain("no late batch was compared with the targets of others")
    return _fit(share.scalar, pairs.scalar, int(share.steps[0]))


def validated(at: Context) -> list[Fit]:
    """Of each evaluation that was looked at in detail. Raises Abstain where none was."""
    share, pairs = at.view("target.val.match"), at.view("target.val.pairs").scalar
    first = edges(share)
    return [_fit(share.scalar[a:b], pairs[a:b], int(share.steps[a])) for a, b in pairwise(first)]
