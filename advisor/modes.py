"""The training batch in both modes: as it is trained on, and in evaluation mode."""

from __future__ import annotations

from typing import NamedTuple

from .context import Context
from .finding import Abstain
from .window import finite, median, together


class Modes(NamedTuple):
    """Median loss of the same training batches in training and in evaluation mode, and how many batches."""

    train: float
    eval: float
    batches: int

    def worse(self, factor: float, floor: float) -> bool:
        """Evaluation mode is worse by this factor, and by more than ``floor``: near a loss of 0 any factor is noise."""
        return self.eval > factor * self.train and self.eval - self.train > floor


def modes(at: Context, since: int) -> Modes:
    """Both losses over the newest batches of step ``since`` or later. Raises Abstain for fewer than three."""
    train, evaluated = at.loss.since(since), at.view("loss.train.eval").since(since).last(20)
    a, b = together(train, evaluated)
    if len(finite(b.scalar)) < 3:
        raise Abstain("too few batches were tried in evaluation mode")
    return Modes(median(a.scalar), median(b.scalar), len(a.steps))
