"""lr-too-low."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..learning_rate import RAISE, raise_remedy
from ..rule import Rule
from ..window import block_medians, column_medians, finite, median, trend

BLOCKERS = {
    "frozen-params",
    "vanishing-gradient",
    "lr-too-high",
    "divergence",
    "nan-input",
    "nan-loss-fn",
    "nan-backward",
}


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The steps are so small that the weights cannot get anywhere in the steps that are planned.

    Why it matters
        The loss falls, so the run looks right; it would need ten or a hundred times the steps.

    How it is decided
        Mechanism: the typical ||update|| / ||weight||, at its fastest so far, times the planned steps is under 0.2: the
        weights could move by a fifth of their size at most. Outcome: the loss is still over 80 % of its first value.
        Where a step's gain on its own batch is measured, a median under 0.3 % in steps 3 to 60, with under 10 % of them
        making it worse, is a mechanism as well, up to five times that reach, from half of the plan on (60 to 200
        steps): some nets learn late. Where the loss is no goal (two optimizers, sampled actions) a reach under 0.05 is
        enough: the weights end as they began. Never when an early update was over 3e-2 or 60 % of a layer is dead: a
        net killed by a high rate looks the same, and to raise the rate would be the opposite of the cure.

    When it is a false alarm
        Fine-tuning (threshold a tenth) and the warm-up. Without a known number of steps it is judged at the end only.
        Under 30 steps it is not judged.

    What to do
        Raise the rate to where a typical update is 0.55 / sqrt(S) of the weights, for S planned steps.
    """
    if at.planned is None and not at.over:
        raise Abstain("the planned number of steps is not known: judged at the end")
    if at.adapters:
        raise Abstain("adapters are trained: lora-lr-too-low judges them")
    if at.horizon < limit["shortest"]:
        raise Abstain("so few steps are a part of a training: the inner loop of a learner that starts each task anew")
    age = at.step - max(at.track.segment.first_step, at.lr_warmup_end)
    if age < max(min(limit["steps"], 0.5 * at.horizon), 0.05 * at.horizon):
        raise Abstain("too early: the rate may still be warming up")
    if at.opened & BLOCKERS or at.dead[0] >= limit["dead"]:
        raise Abstain("another fault keeps the updates small")
    if at.first_peak[0] > limit["peak"]:
        return None
    if not (at.no_goal or at.exceeds(at.recent_loss(), limit["loss"] * at.initial_loss)):
        return None  # it learns: no need to look how far the weights get
    fastest = at.once("fastest", ("update.ratio", "weight.norm"), lambda: _fastest(at))
    reach = fastest * at.horizon
    allowed = limit["reach"] * (0.1 if at.finetune else 1)
    if at.no_goal:
        return _standing(at, fastest, reach, limit)
    now, first = at.recent_loss(), at.initial_loss
    gain = _gain(at, limit) if age >= at.patience else None
    slow = fastest > 0 and at.undercuts(reach, allowed * (limit["gentle"] if gain is not None else 1))
    if not slow or trend(block_medians(at.window(at.loss).scalar)) > 1.64:
        return None
    return Found(
        "warn",
        f"a step moves the weights by {number(fastest)} of their size: {percent(reach)} at most in {at.horizon} steps",
        (
            f"update ratio {number(fastest)} times {at.horizon} steps is {number(reach)}, {number(allowed)} is needed",
            *([f"a step makes the loss of its own batch smaller by {percent(gain)}"] if gain is not None else []),
            f"the loss is {number(now)} after {at.step} steps, it began at {number(first)}",
        ),
        at.track.segment.first_step + 1,
        (
            Evidence("update.ratio", fastest, allowed / at.horizon, "typical matrix at its fastest", 1, at.step),
            Evidence("loss.train", now, first, "median of the newest losses against the first", 1, at.step),
        ),
        (raise_remedy(at, fastest),),
        "If the loss then jumps, take the geometric mean of the two rates; or plan more steps.",
    )


def _fastest(at: Context) -> float:
    """The update of the typical weight matrix against its size, in the block of steps in which it was largest."""
    typical = column_medians(at.ratios(at.view("update.ratio").thin(400)).T)
    return float(np.max(block_medians(typical), initial=0.0))


def _standing(at: Context, fastest: float, reach: float, limit: Mapping[str, float]) -> Found | None:
    """Where the loss is no goal: the weights cannot even move by a twentieth of their size, whatever it says."""
    if not 0 < reach < limit["standing"]:
        return None
    return Found(
        "warn",
        f"a step moves the weights by {number(fastest)} of their size: {percent(reach)} at most in {at.horizon} steps",
        (f"update ratio {number(fastest)} times {at.horizon} steps is {number(reach)}: the weights end as they began",),
        at.track.segment.first_step + 1,
        (Evidence("update.ratio", fastest, limit["reach"] / at.horizon, "typical matrix at its fastest", 1, at.step),),
        (raise_remedy(at, fastest),),
        "If one net then beats the other from the start, give the losing one more steps or the higher rate.",
        exact=True,
    )


def _gain(at: Context, limit: Mapping[str, float]) -> float | None:
    """Median share by which an early step lowers the loss of its own batch; None where it is not small."""
    if not at.has("step.gain") or at.finetune:
        return None
    start = max(at.track.segment.first_step, at.lr_warmup_end)
    gains = finite(at.view("step.gain").since(start + 3).before(start + 61).scalar)
    if len(gains) < limit["samples"] or float(np.mean(gains < 0)) >= 0.1:
        return None
    typical = median(gains)
    return typical if 0 < typical < limit["gain"] else None


RULE = Rule(
    "lr-too-low",
    "learning rate too low",
    "statistical",
    ("update.ratio", "weight.norm", "act.dead", "loss.train", "lr", "step.gain"),
    (RAISE,),
    "168 small runs: ratio times planned steps under 0.2 with no early peak found 38 of 53, none of 78 healthy ones, "
    "and in none of 37 runs killed by a high rate did it advise to raise it (a plain ratio threshold: 7 of 37).",
    check,
    {
        "reach": 0.2,
        "shortest": 30,
        "peak": 3e-2,
        "dead": 0.6,
        "loss": 0.8,
        "steps": 60,
        "samples": 4,
        "gain": 3e-3,
        "gentle": 5,
        "standing": 0.05,
    },
    slow=True,
    goal=True,
)
