"""lr-needs-decay."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..learning_rate import rounded
from ..rule import Rule
from ..window import block_medians, median, slope, trend

STEP_DOWN = "Lower the learning rate now"
SCHEDULE = "Let a schedule lower it"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The loss has stopped falling at a constant learning rate, while the weights still move.

    Why it matters
        Steps that are too long for the valley jump from side to side of it. A smaller rate lets the loss fall on, often
        by as much as in the whole time since it stopped.

    How it is decided
        After the loss has fallen by a fifth at least: two windows in a row (a fifth of the run each, an epoch or more)
        without a falling trend (Mann-Kendall) or a gain of 1 % (Theil-Sen). Outcomes: the weights moved by half their
        size or more in a window without any gain, and the validation loss has not improved for five evaluations or a
        tenth of the plan. Until both are there it is *watch*.

    When it is a false alarm
        A loss at its noise floor (label noise), a loss under 1 % of its first value, a rate that a schedule lowers
        anyway: the last two are not judged. A flat loss that never fell is another finding.

    What to do
        Divide the rate by three, or use ReduceLROnPlateau (factor 0.3, patience 5), or plan a cosine to the end.
    """
    if at.multi_opt:
        raise Abstain("two optimizers play against each other: a flat loss is no sign")
    if not at.has("lr"):
        raise Abstain("the learning rate is not measured")
    if not at.lr_steady or at.cyclic:
        if at.open:
            return None  # it has fallen: what was asked for is done
        raise Abstain("a schedule changes the learning rate")
    epoch = float(at.facts.get("steps_per_epoch") or 0)
    length = int(max(min(max(0.2 * at.step, limit["window"]), 5000), min(epoch, at.horizon)))
    if at.step - max(at.warmup, at.phase_start) < 2 * length:
        raise Abstain("too early: it needs two windows of 200 steps after the warm-up")
    first, now = at.initial_loss, at.recent_loss(length)
    if not limit["floor"] * first < now < limit["progress"] * first:
        return None
    newest = at.loss.since(at.step - length + 1)
    before = at.loss.since(at.step - 2 * length + 1).before(at.step - length + 1)
    gains = []
    for part in (before, newest):
        blocks = block_medians(part.scalar)
        gain = -slope(blocks) * len(blocks) / max(float(np.median(blocks)), 1e-12)
        if trend(blocks) < -1.64 or gain >= limit["gain"] * (1 / 0.7 if at.open else 1):
            return None
        gains.append(gain)
    still = _val_improves(at)
    if still:
        return None
    keys = [f"two windows of {length} steps gained {percent(max(gains[0], 0))} and {percent(max(gains[1], 0))}"]
    moved = _moved(at, length)
    if moved > limit["moved"]:
        keys.append(f"the weights moved by {percent(moved)} of their size in the last one")
    if still is False:
        keys.append("the validation loss has not improved for five evaluations or more")
    remaining = (at.planned or at.step) - at.step
    severity: Severity = "warn" if len(keys) == 3 and remaining > length else "watch"
    return Found(
        severity,
        f"loss flat at {number(now)} for {2 * length} steps at a constant lr of {number(at.lr)}",
        tuple(keys),
        at.step - 2 * length + 1,
        (
            Evidence("loss.train", gains[1], limit["gain"], "share gained in the last window",
                     at.step - length, at.step),
        ),
        (
            Remedy(STEP_DOWN, f"lr {number(at.lr)} → {number(rounded(at.lr / 3))}",
                   f"the loss is under {number(0.97 * now)} after {length} steps"),
            Remedy(SCHEDULE, "constant → ReduceLROnPlateau(factor=0.3, patience=5) or a cosine to the end",
                   f"the loss falls under {number(0.97 * now)} after the first reduction"),
        ),
        "If a third of the rate changes nothing, the loss is at its floor: stop at the best evaluation.",
    )  # fmt: skip


def _moved(at: Context, length: int) -> float:
    """How far the weights could have moved in a window, in units of their size."""
    if not at.has("update.ratio"):
        return 0.0
    recent = at.ratios(at.view("update.ratio").since(at.step - length + 1).thin(100))
    typical = median(recent.ravel())
    return typical * length if math.isfinite(typical) else 0.0


def _val_improves(at: Context) -> bool | None:
    """Whether one of the newest evaluations is better than all before; None where there are too few."""
    ev = at.evaluations
    recent = max(5, int(np.sum(ev.steps > at.step - at.horizon // 10)))
    if len(ev.steps) < recent + 2:
        return None
    return bool(np.nanmin(ev.loss[-recent:]) < np.nanmin(ev.loss[:-recent]))


RULE = Rule(
    "lr-needs-decay",
    "the learning rate should fall now",
    "statistical",
    ("loss.train", "lr", "update.ratio", "loss.val"),
    (STEP_DOWN, SCHEDULE),
    "Notes on plateaus; 18 healthy and 15 stuck small runs: robust slopes gave no false alarm, plain patience 8 to 18.",
    check,
    {"window": 200, "progress": 0.8, "floor": 0.01, "gain": 0.01, "moved": 0.5},
    slow=True,
    goal=True,
)
