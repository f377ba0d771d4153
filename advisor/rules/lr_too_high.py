"""lr-too-high."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Severity

from ..context import Context
from ..finding import Found, number, of_size, percent
from ..learning_rate import LOWER, lower_remedy
from ..nonfinite import growth, onset
from ..rule import Rule
from ..window import finite


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The updates are so large that each step destroys what the ones before it learned.

    Why it matters
        The net is wrecked within the first ten steps: ReLUs die and do not come back, or the loss becomes NaN. Later
        the run looks calm, even too slow, and the usual advice, a higher rate, would be harmful.

    How it is decided
        Mechanism: the largest ||update|| / ||weight|| of any weight matrix in steps 1 to 8 and while the rate warms up
        (or in the 20 sampled steps before a loss that grew until it was NaN). Outcome: the loss is still at its first
        value after 60 steps; or it rose to three times that and is over it after 30; or it is ten times that after
        10; or it is no number any more. Both are needed: healthy runs with large first updates are common.

    When it is a false alarm
        A learning-rate range test; the peak of a one-cycle schedule (the finding is resolved when the loss comes down).
        Nets with BatchNorm bear larger updates: their threshold is doubled and they get 60 steps to recover.

    What to do
        Lower the rate to where the first update moves a typical layer by 2/S of its size (S planned steps, 0.3 to 1 %),
        and start again: dead units do not come back.
    """
    peak, step, layer = at.first_peak
    large = limit["peak"] * (2 if at.batchnorm else 1)
    severity: Severity = "error"
    outcome = _stuck(at, limit, peak)
    blown = onset(at)
    late = growth(at, blown.step) if blown and blown.origin not in ("input", "target") else None
    if blown is not None and late is not None:
        severity, outcome = "fatal", f"the loss grew until it was no number, at step {blown.step}"
        if peak <= large and late.ratio is not None and late.ratio[0] > limit["late"]:
            peak, step, layer = late.ratio
    if outcome is None or peak <= large:
        return None
    now, first = at.recent_loss(), at.initial_loss
    return Found(
        severity,
        f"one step moved {layer} by {of_size(peak)} (reference {percent(large)})",
        (f"step {step} changed {layer} by {of_size(peak)}", outcome),
        step,
        (
            Evidence("update.ratio", peak, large, "largest update of a weight matrix", step, step, layer),
            Evidence("loss.train", now, first, "median of the newest losses against the first", 1, at.step),
        ),
        (lower_remedy(at),),
        "If the loss still does not fall, look at the scale of inputs and targets, then clip the gradient at 1.0.",
        layer=layer,
        exact=severity == "fatal",
    )


def _stuck(at: Context, limit: Mapping[str, float], peak: float) -> str | None:
    """How the loss shows that the net has not got over it; None while it may, and when it has."""
    age = at.step - at.track.segment.first_step
    now, first = at.recent_loss(), at.initial_loss
    if age >= limit["patience"] and at.exceeds(now, limit["stuck"] * first):
        return f"after {age} steps the loss is {number(now)}, it began at {number(first)}"
    huge, soon = (2, 1) if at.batchnorm else (1, 0.5)
    if age >= limit["lasting"] and peak > huge * limit["huge"] and at.exceeds(now, limit["lost"] * first):
        return f"after {age} steps the loss is {number(now)}, it began at {number(first)}"
    if age >= soon * limit["patience"] and peak > huge * limit["huge"] and at.exceeds(now, first):
        highest = float(np.max(finite(at.loss.scalar)))
        if highest > 3 * first:
            return f"the loss rose to {number(highest)} and is {number(now)} now; it began at {number(first)}"
    return None


RULE = Rule(
    "lr-too-high",
    "learning rate too high",
    "statistical",
    ("update.ratio", "weight.norm", "loss.train", "lr", "grad.norm"),
    (LOWER,),
    "168 small runs, 78 of them healthy: peak > 5e-2 with the loss not under 0.9 of its first value found 31 of 37 "
    "with no false alarm. Karpathy's 1e-3 is the centre of long runs, not a limit.",
    check,
    {"peak": 5e-2, "huge": 0.24, "late": 0.1, "stuck": 0.9, "patience": 60, "lost": 10, "lasting": 10},
    goal=True,
)
