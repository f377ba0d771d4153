"""lr-needs-decay."""

from __future__ import annotations

import math
from collections.abc import Mapping

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..learning_rate import rounded
from ..rule import Rule
from ..window import median

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
    length = at.window_length
    flat = at.flat
    first, now = at.initial_loss, at.recent_loss(length)
    if flat is None or not limit["floor"] * first < now < limit["progress"] * first:
        return None
    if max(flat) >= limit["gain"] * (1 / 0.7 if at.open else 1) or at.val_improves:
        return None
    keys = [f"two windows of {length} steps gained {percent(max(flat[0], 0))} and {percent(max(flat[1], 0))}"]
    moved = _moved(at, length)
    if moved > limit["moved"]:
        keys.append(f"the weights moved by {percent(moved)} of their size in the last one")
    if at.val_improves is False:
        keys.append("the validation loss has not improved for five evaluations or more")
    remaining = (at.planned or at.step) - at.step
    severity: Severity = "warn" if len(keys) == 3 and remaining > length else "watch"
    return Found(
        severity,
        f"loss flat at {number(now)} for {2 * length} steps at a constant lr of {number(at.lr)}",
        tuple(keys),
        at.step - 2 * length + 1,
        (
            Evidence("loss.train", flat[1], limit["gain"], "share gained in the last window",
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


RULE = Rule(
    "lr-needs-decay",
    "the learning rate should fall now",
    "statistical",
    ("loss.train", "lr", "update.ratio", "loss.val"),
    (STEP_DOWN, SCHEDULE),
    "Notes on plateaus; 18 healthy and 15 stuck small runs: robust slopes gave no false alarm, plain patience 8 to 18.",
    check,
    {"progress": 0.8, "floor": 0.01, "gain": 0.01, "moved": 0.5},
    slow=True,
    goal=True,
)
