"""entropy-collapse."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..learning_rate import LOWER, lower_change
from ..rule import Rule
from ..window import View, median

BONUS = "Reward entropy"
_REWARDS = ("reward", "return", "score", "episode_length")


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The policy has stopped to explore: it takes the same action nearly always.

    Why it matters
        What is never tried is never learned. A policy that became certain too early stays where it is.

    How it is decided
        Mechanism: in the first half of the run the entropy of the policy is under a twentieth of its first value.
        Outcome: a logged reward (`nnwatch.log(reward=...)`) is lower than it was at its best and no longer rises.
        Without a reward it is *watch*, and only under a hundredth: a solved task needs no entropy either; *warn* where
        that is so in the first quarter of the plan: nothing else will be tried in all that is left.

    When it is a false alarm
        A task whose best policy is certain, reached early: its reward then stays at its best, and nothing is said.

    What to do
        Add entropy to the objective (0.01 per nat is usual) and take a smaller step.
    """
    view = at.view("distribution.entropy")
    if np.nanmin(view.scalar) < 0:
        raise Abstain("the entropy of a continuous policy has no zero to fall to")
    if at.step < at.track.segment.first_step + at.warmup or at.step > limit["part"] * (at.planned or 2 * at.step):
        raise Abstain("late in a run a policy may be certain")
    newest = max(5, min(20, len(view.steps) // 4))
    first, now = median(view.scalar[:5]), median(view.last(newest).scalar)
    share = now / first if first > 0 else 1.0
    if len(view.steps) < 10 or not at.undercuts(share, limit["share"]):
        return None
    reward = _reward(at)
    keys = [f"the entropy fell from {number(first)} to {number(now)} nats"]
    severity: Severity = "watch"
    if reward is None:
        if not at.undercuts(share, limit["alone"]):
            return None
        if at.planned and at.step <= limit["soon"] * at.planned:
            severity = "warn"
            keys.append(f"{at.planned - at.step:,} of {at.planned:,} steps are left, in which nothing else is tried")
    elif (stays := _behind(reward)) is None:
        return None
    else:
        severity = "warn"
        keys.append(stays)
    expect = f"the entropy stays over {number(limit['share'] * first)} until the reward no longer rises"
    return Found(
        severity,
        f"the policy's entropy is {percent(share)} of its first value at step {at.step}",
        tuple(keys),
        int(view.steps[0]),
        (Evidence("distribution.entropy", now, first, "entropy of the policy, against its first value", 0, at.step),),
        (
            Remedy(BONUS, "loss → loss - 0.01 * entropy", expect),
            Remedy(LOWER, lower_change(at), expect),
        ),
        "If the entropy stays and the reward does not rise, look at the reward: is it ever anything but 0?",
    )


def _reward(at: Context) -> View | None:
    """A logged reward, None where none is."""
    name = next((n for n in sorted(at.track) if n.startswith("user.") and any(r in n.lower() for r in _REWARDS)), None)
    return at.view(name) if name is not None and at.has(name) else None


def _behind(reward: View) -> str | None:
    """What shows that the reward is behind its best and does not rise; None where it is at its best or rising."""
    values = reward.scalar
    if len(values) < 20:
        return None
    size = max(5, len(values) // 20)
    levels = [median(values[i : i + size]) for i in range(0, len(values) - size + 1, size)]
    best, now, before = max(levels), levels[-1], levels[-2]
    span = best - min(levels)
    if span <= 0 or now > best - 0.2 * span or now > before + 0.05 * span:
        return None
    return f"the logged {reward.series.metric[5:]} is {number(now)}, {number(best)} at its best, and does not rise"


RULE = Rule(
    "entropy-collapse",
    "the policy no longer explores",
    "statistical",
    ("distribution.entropy", "lr"),
    (BONUS, LOWER),
    "Mnih et al. 2016 (entropy bonus); silent on policies that are certain because the task is solved.",
    check,
    {"share": 0.05, "alone": 0.01, "part": 0.5, "soon": 0.25},
)
