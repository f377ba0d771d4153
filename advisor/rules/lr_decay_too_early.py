"""lr-decay-too-early."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..place import of_scheduler
from ..rule import Rule
from ..window import block_medians, slope, trend

STRETCH = "Stretch the schedule to the end of the training"
CONSTANT = "Keep the rate until the loss is flat"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The schedule has brought the learning rate to almost nothing long before the training ends.

    Why it matters
        The rest of the steps changes nothing. The loss flattens, and it looks as if the net had learned what it can.

    How it is decided
        Mechanism: the rate is under 1 % of its highest before 70 % of the planned steps. Outcome: the loss was still
        falling (Mann-Kendall) while the rate came down from a half to a hundredth, and has gained less than a tenth of
        that since; where the loss is no goal (a policy, two nets in turn), the rate came down in the first fifth of
        the plan. Without the second, *watch*.

    When it is a false alarm
        A run that had converged by then (loss under 1 % of its first value: not judged), and schedules that raise the
        rate again (cyclic: not judged).

    What to do
        Compute the schedule from the planned steps instead of a number of epochs from elsewhere.
    """
    if at.planned is None and not at.over:
        raise Abstain("the planned number of steps is not known")
    if at.cyclic:
        raise Abstain("the schedule raises the rate again")
    steps, rates = at.learning_rates
    highest = at.lr
    low = np.flatnonzero(rates < limit["gone"] * highest)
    low = low[steps[low] > at.warmup]
    if not len(low) or at.lr_at(at.step) >= limit["gone"] * highest:
        return None
    gone = int(steps[low[0]])
    if gone > limit["early"] * at.horizon:
        return None
    if at.step - gone < max(20, 0.05 * at.horizon):
        raise Abstain("too early: the rate has only just come down")
    now = at.recent_loss()
    if not at.no_goal and now < limit["floor"] * at.initial_loss:
        return None
    keys = [f"the rate is under {percent(limit['gone'])} of its highest since step {gone}"]
    if at.no_goal:
        if gone <= limit["soon"] * at.horizon:
            keys.append(f"what is not learned by then is not learned: {at.horizon - gone:,} steps are left")
        return _found(at, gone, highest, now, keys)
    high = np.flatnonzero(rates >= 0.5 * highest)
    falling = block_medians(at.loss.since(int(steps[high[-1]]) // 2).before(gone).scalar)
    since = block_medians(at.loss.since(gone).scalar)
    gained = -slope(falling) * len(falling)
    if trend(falling) < -1.64 and -slope(since) * len(since) < 0.1 * gained:
        keys.append(f"the loss was falling until then and has stood at {number(now)} since")
    return _found(at, gone, highest, now, keys)


def _found(at: Context, gone: int, highest: float, now: float, keys: list[str]) -> Found:
    better = "the logged reward is higher" if at.no_goal else f"the loss is under {number(0.9 * now)}"
    return Found(
        "warn",
        f"lr {number(at.lr_at(at.step))} since step {gone} of {at.horizon:,}; it was {number(highest)}",
        tuple(keys),
        gone,
        (
            Evidence("lr", at.lr_at(at.step), highest, "against its highest", gone, at.step),
            Evidence("loss.train", now, None, "loss since then", gone, at.step),
        ),
        (
            Remedy(STRETCH, f"the schedule ends at step {gone:,} → at step {at.horizon:,}{of_scheduler(at)}",
                   f"{better} at the end"),
            Remedy(CONSTANT, f"the schedule → ReduceLROnPlateau(factor=0.3, patience=5){of_scheduler(at)}",
                   f"{better} before the first reduction"),
        ),
        "If a longer schedule changes nothing, the loss is at its floor: plan fewer steps.",
    )  # fmt: skip


RULE = Rule(
    "lr-decay-too-early",
    "the learning rate falls too early",
    "statistical",
    ("lr", "loss.train"),
    (STRETCH, CONSTANT),
    "Note T18 (do not trust default decay: it depends on epochs and size of the data).",
    check,
    {"gone": 0.01, "early": 0.7, "floor": 0.01, "soon": 0.2},
    slow=True,
)
