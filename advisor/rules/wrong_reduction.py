"""wrong-reduction."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number
from ..place import of_loss
from ..rule import Rule
from ..scale import trouble
from ..script import loss
from ..window import median

MEAN = "Average the loss over the batch"
_SCALELESS = re.compile("Ada|RMSprop|Rprop")
"""Classes of optimizers whose steps have a size of their own, whatever that of the gradient."""


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The loss is a sum over the batch, so the size of the batch sets the size of the step.

    Why it matters
        A learning rate for a mean is as many times too large as the batch has samples, and the last, smaller batch of
        an epoch counts less than the others.

    How it is decided
        Mechanism: reduction="sum" without a division before backward(), or a loss that falls with the last, smaller
        batch of an epoch in the proportion of their sizes, at least three times. Outcome: trouble that a rate too high
        brings (large first updates, divergence, an exploding gradient), or a loss that has not fallen in half of the
        plan (60 to 200 steps). The sum alone is silent: variational autoencoders are written that way. With Adam and
        its like, whose steps do not grow with the gradient, it is no cause.

    When it is a false alarm
        A rate that was tuned for the sum, with other trouble at the same time.

    What to do
        reduction="mean", or divide by the number of samples, with the learning rate as it is.
    """
    if _SCALELESS.search(str(at.optimizer.get("class"))):
        raise Abstain("the optimizer divides by the size of the gradient: a sum makes no larger steps")
    declared = loss(at).get("reduction") == "sum"
    if declared and at.has("loss.root") and median(at.view("loss.root").last(50).scalar) < 0.5 * at.recent_loss():
        return None  # divided before backward()
    ragged = _ragged(at) if not declared else 0
    if not declared and ragged < limit["batches"]:
        return None
    outcome = trouble(at) or at.loss_key()
    if outcome is None:
        return None
    size = at.batch_size or math.nan
    how = 'reduction="sum"' if declared else f"in {ragged} last batches of an epoch it fell as their size did"
    severity: Severity = "warn"
    begin = at.track.segment.first_step + 1
    return Found(
        severity,
        f"the loss{of_loss(at)} is a sum over the batch of {size:.0f}: {number(at.recent_loss())}",
        (how, outcome),
        begin,
        (Evidence("loss.train", at.recent_loss(), at.recent_loss() / size, "a sum, against its mean", begin, at.step),),
        (
            Remedy(
                MEAN,
                f'reduction="sum"{of_loss(at)} → "mean"'
                if declared
                else f"the sum{of_loss(at)} → divided by the batch",
                f"the loss is about {number(at.initial_loss / size)} at first, and the updates are {size:.0f} times "
                "smaller",
            ),
        ),
        "If it must be a sum, divide the learning rate by the batch size.",
    )


def _ragged(at: Context) -> int:
    """Smaller batches whose loss is to their neighbours' as their size is; 0 where one of them is not."""
    if not at.has("batch.size") or at.batch_size is None:
        raise Abstain("the batch size is not measured")
    sizes, losses = at.view("batch.size").last(5000), at.loss.last(5000)
    if len(sizes.steps) != len(losses.steps):
        return 0
    small = np.flatnonzero(sizes.scalar < 0.7 * at.batch_size)
    small = small[(small > 2) & (small < len(sizes.steps) - 3)]
    if not len(small) or len(small) > 0.2 * len(sizes.steps):
        return 0
    around = np.array([np.median(np.delete(losses.scalar[i - 3 : i + 4], 3)) for i in small])
    with np.errstate(divide="ignore", invalid="ignore"):
        got = np.log(losses.scalar[small] / around)
        meant = np.log(sizes.scalar[small] / at.batch_size)
    fits = np.abs(got - meant) < 0.3 * np.abs(meant)
    return int(fits.sum()) if fits.mean() > 0.8 else 0


RULE = Rule(
    "wrong-reduction",
    "the loss is summed over the batch",
    "statistical",
    ("loss.train", "loss.root", "batch.size"),
    (MEAN,),
    "Note C206 (divide by the batch size).",
    check,
    {"batches": 3},
)
