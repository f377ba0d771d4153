"""The learning rate to try next, from the size of the first update.

``lr * target / r0``: r0 is the median over the weight matrices of ||dw|| / ||w|| at the first step. For SGD the target
is 2 / S within 3e-3 ... 1e-2 for S planned steps: at S = 300 1e-2 repaired 11 of 11 MLPs and CNNs and 2 of 8
transformers (7 improved), 3e-3 as many of the first and none of the second, 1e-3 none at all; but 1e-2 leaves a
plain deep SGD net too high, which 6e-3 repairs. Whatever scales each element of its step bears more, 10 / S within
3e-3 ... 2e-2: of 21 runs of 130 to 1,400 steps in eight kinds of task (`make score`), 17 with Adam, 2e-2 repaired 12,
1e-2 9, 6e-3 7, 3e-3 5, and 3e-2 no more than 13. At S = 1,320 (digits, CNN, Adam) 3e-3 reached 0.987 and 1e-3 0.960,
where the best rate reaches 0.990; with 1e-3 the loss had moved by 7 % after 60 steps, with 3e-3 by 35 %.
"""

from __future__ import annotations

import math
from contextlib import suppress

import numpy as np

from nnwatch.frame import Remedy

from .clocks import Rise
from .context import Context
from .finding import Abstain, number
from .place import of_optimizer
from .window import median

LOWER = "Lower the learning rate"
RAISE = "Raise the learning rate"
CLIP = "Clip the gradient"
HARMED_BY_A_HIGH_RATE = frozenset({"lr-too-high", "divergence", "nan-loss-fn", "nan-backward"})
"""Findings after which a rate is never to be raised."""


def rounded(lr: float) -> float:
    """To a third of a decade: 1, 2, 5, 10, ..."""
    exponent, third = divmod(round(3 * math.log10(lr)), 3)
    return float(f"{(1, 2, 5)[third]}e{exponent}")


def first_ratio(at: Context) -> tuple[float, float] | None:
    """(r0, learning rate of that step), None when it was not measured.

    The first step of SGD with momentum is only 1 - momentum of what the steady ones will be.
    """
    try:
        view = at.view("update.ratio").before(at.track.segment.first_step + 4)
        rows = at.ratios(view)
        rate = at.lr_at(int(view.steps[0])) if len(view.steps) else 0.0
    except Abstain:
        return None
    if not len(rows) or not np.isfinite(rows[0]).any() or rate <= 0:
        return None
    ratio = float(np.nanmedian(np.where(np.isfinite(rows[0]), rows[0], np.nan)))
    if at.optimizer.get("class") == "SGD":
        ratio /= 1 - min(float(at.optimizer.get("momentum") or 0), 0.99)
    return (ratio, rate) if ratio > 0 else None


def target(at: Context) -> float:
    """How much of its size a typical update should change: the fewer steps there are, the more."""
    share, most = (2, 1e-2) if at.optimizer.get("class") == "SGD" else (10, 2e-2)
    return min(max(share / at.planned, 3e-3), most) if at.planned else 3e-3


def suggested(at: Context) -> float | None:
    """The rate whose first update has the target size, None where the first update is not known."""
    first = first_ratio(at)
    return first[1] * target(at) / first[0] if first else None


def lower_change(at: Context) -> str:
    """The rate → the one to try: by the formula, to a third at least, to a tenth where the formula cannot be had."""
    try:
        lr = at.lr
    except Abstain:
        return "learning rate → a tenth of it"
    aim = suggested(at)
    new = rounded(min(aim, lr / 3) if aim else lr / 10)
    return f"lr {number(lr)} → {number(new)}{of_optimizer(at)}"


def lower_remedy(at: Context) -> Remedy:
    """Lower the rate, and what a first loss that was finite then shows."""
    try:
        expect = (
            f"the loss is below {number(0.9 * at.initial_loss)} after 60 steps; no update moves a layer by over 5 %"
        )
    except Abstain:
        expect = "the loss falls within the first 60 steps"
    return Remedy(LOWER, lower_change(at), expect)


def back_remedy(at: Context, rise: Rise) -> Remedy:
    """Go back to the rate at which the loss was falling."""
    then = median(at.loss.before(rise.step).last(30).scalar)
    change = f"lr {number(rise.new)} → {number(rise.old)}{of_optimizer(at)}"
    return Remedy(LOWER, change, f"the loss falls again and is under {number(then)} within 100 steps")


def killed(at: Context) -> bool:
    """A high rate has been at work here: an early update of over 3 % of a weight matrix, a layer that is mostly dead,
    or a loss that ran away. Whatever looks slow now, a higher rate is not the cure."""
    if at.opened & HARMED_BY_A_HIGH_RATE or at.dead[0] >= 0.6:
        return True
    with suppress(Abstain):
        return at.first_peak[0] > 3e-2
    return False


def forbidden(at: Context) -> frozenset[str]:
    """Titles of remedies that must not be printed at this boundary, whichever rule proposes them."""
    return frozenset({RAISE}) if killed(at) else frozenset()


def raise_remedy(at: Context, ratio: float) -> Remedy:
    """Raise the rate so that a typical update has the target size; by a thousand at the most."""
    return raise_by(at, min(max(target(at) / ratio, 3), 1000), ratio)


def raise_by(at: Context, factor: float, ratio: float | None = None) -> Remedy:
    """Raise the rate by a factor; ``ratio`` is the typical update now."""
    new = rounded(at.lr * factor)
    shows = f"the update ratio rises to about {number(ratio * new / at.lr)} and " if ratio else ""
    return Remedy(
        RAISE,
        f"lr {number(at.lr)} → {number(new)}{of_optimizer(at)}",
        f"{shows}the loss falls visibly within 100 steps",
    )
