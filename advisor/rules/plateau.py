"""plateau."""

from __future__ import annotations

from collections.abc import Mapping

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..learning_rate import rounded
from ..place import of_optimizer
from ..rule import Rule

LOWER_STILL = "Lower the learning rate once more"
STOP = "Stop at the best evaluation"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The loss has stopped falling although the rate has already been lowered, and much of the plan is left.

    Why it matters
        The remaining steps cost as much as the first ones and bring nothing.

    How it is decided
        After the loss has fallen by a fifth at least: two windows in a row without a falling trend (Mann-Kendall) or a
        gain of 1 % (Theil-Sen). Outcome: the validation loss has not improved for five evaluations or a tenth of the
        plan. Without that, or with less than a window left, *watch*. A constant rate is judged by lr-needs-decay.

    When it is a false alarm
        A loss at its floor (under 1 % of the first), a schedule that goes on, cyclic schedules: not judged. A training
        loss near zero with a flat validation loss may still turn (grokking): nothing is lost by waiting there.

    What to do
        One more reduction shows within a window whether there is anything left; if not, stop at the best evaluation.
    """
    if at.no_goal or at.cyclic:
        raise Abstain("a flat loss is no sign here")
    if at.has("lr") and at.lr_steady:
        raise Abstain("the rate is constant: lr-needs-decay judges that")
    changes = at.schedule.steps
    if len(changes) and int(changes[-1]) > at.step - 2 * at.window_length:
        raise Abstain("the schedule still moves the rate")
    flat = at.flat
    first, now = at.initial_loss, at.recent_loss(at.window_length)
    if flat is None or not limit["floor"] * first < now < limit["progress"] * first or max(flat) >= limit["gain"]:
        return None
    if at.val_improves:
        return None
    keys = [f"two windows of {at.window_length} steps gained {percent(max(flat[0], 0))} and {percent(max(flat[1], 0))}"]
    if at.val_improves is False:
        keys.append("the validation loss has not improved for five evaluations or more")
    remaining = at.horizon - at.step
    severity: Severity = "warn" if len(keys) == 2 and remaining > at.window_length else "watch"
    expect = f"the loss is under {number(0.97 * now)} after {at.window_length} steps"
    remedies = [Remedy(STOP, f"{remaining:,} more steps → stop, weights of the best evaluation", "nothing is lost")]
    if at.has("lr"):
        rate = at.lr_at(at.step)
        change = f"lr {number(rate)} → {number(rounded(rate / 3))}{of_optimizer(at)}" if rate > 0 else ""
        remedies[:0] = [Remedy(LOWER_STILL, change, expect)] if change else []
    return Found(
        severity,
        f"loss flat at {number(now)} for {2 * at.window_length} steps",
        tuple(keys),
        at.step - 2 * at.window_length + 1,
        (
            Evidence(
                "loss.train", flat[1], limit["gain"], "gained in the last window", at.step - at.window_length, at.step
            ),
        ),
        tuple(remedies),
        "If neither helps, the net is too small or the labels carry no more: see underfitting.",
    )


RULE = Rule(
    "plateau",
    "the loss is on a plateau",
    "statistical",
    ("loss.train", "lr", "loss.val"),
    (LOWER_STILL, STOP),
    "Notes C82, C214; 18 healthy and 15 stuck small runs: robust slopes gave no false alarm, plain patience 8 to 18.",
    check,
    {"progress": 0.8, "floor": 0.01, "gain": 0.01},
    slow=True,
    goal=True,
)
