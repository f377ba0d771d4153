"""The learning rate to try next, from the size of the first update.

``lr * target / r0``: r0 is the median over the weight matrices of ||dw|| / ||w|| at the first step. Steps that are
mostly noise add up as the square root of their number S, so a target of c / sqrt(S) lets the weights wander by a fixed
part of their size, whatever S is. Measured on the healthy configurations of fourteen kinds of task (medians over kinds
of what each chose for itself): where each element is scaled by its own history (Adam and the like) r0 is 0.049 for
under 200 steps, 0.029 for 200 to 800, 0.014 for more: c = 0.55 in all three. For plain SGD it is 0.02, with a spread of
twenty times between kinds of task, so the target is under that, 0.01. Nets with BatchNorm, which do not feel the size
of their weights, have twice (Adam) and five times as much (SGD). Karpathy's 1e-3 is the same line at S = 300,000.
"""

from __future__ import annotations

import math
from contextlib import suppress

import numpy as np

from nnwatch.frame import Remedy

from .context import Context
from .finding import Abstain, number
from .place import of_optimizer
from .rates import Rise
from .window import median

LOWER = "Lower the learning rate"
RAISE = "Raise the learning rate"
CLIP = "Clip the gradient"
WANDER = 0.55
"""Part of their size that the weights wander by noise in a whole run."""
UNPLANNED = 1000
"""Steps that a run of unknown length is taken to have at least."""
HARMED_BY_A_HIGH_RATE = frozenset({"lr-too-high", "divergence", "nan-loss-fn", "nan-backward"})
"""Findings after which a rate is never to be raised."""


def rounded(lr: float) -> float:
    """To a third of a decade: 1, 2, 5, 10, ..."""
    exponent, third = divmod(round(3 * math.log10(lr)), 3)
    return float(f"{(1, 2, 5)[third]}e{exponent}")


def first_ratio(at: Context) -> tuple[float, float] | None:
    """(r0, learning rate of that step), None when it was not measured.

    The first step of SGD with momentum m is 1 - m of what steps that all point the same way come to, and about
    sqrt(1 - m) of what noise does, which is what most of it is. That of RMSprop, whose average starts at zero, is ten
    times what follows.
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
    kind = at.optimizer.get("class")
    if kind == "SGD":
        ratio /= math.sqrt(1 - min(float(at.optimizer.get("momentum") or 0), 0.99))
    elif kind == "RMSprop":
        ratio /= 10
    return (ratio, rate) if ratio > 0 else None


def target(at: Context) -> float:
    """How much of its size a typical update should change: the fewer steps there are, the more."""
    wander = WANDER / math.sqrt(at.planned or max(at.horizon, UNPLANNED))
    if at.optimizer.get("class") == "SGD":
        return min(0.5 * wander, 0.01) * (5 if at.batchnorm else 1)
    return min(wander, 0.1) * (2 if at.batchnorm else 1)


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


def raise_remedy(at: Context, ratio: float, least: float = 3) -> Remedy:
    """Raise the rate so that a typical update, ``ratio`` now, has the target size; by ``least`` at least."""
    new = rounded(at.lr * max(target(at) / ratio, least))
    return Remedy(
        RAISE,
        f"lr {number(at.lr)} → {number(new)}{of_optimizer(at)}",
        f"the update ratio rises to about {number(ratio * new / at.lr)} and the loss falls visibly within 100 steps",
    )
