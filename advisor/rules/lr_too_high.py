"""lr-too-high."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Found, number, of_size, percent
from ..learning_rate import LOWER, back_remedy, lower_remedy
from ..nonfinite import GIVEN, growth, onset
from ..place import of_optimizer
from ..rule import Rule
from ..window import Numbers, block_medians, column_medians, finite, median, trend

DAMP = "Lower the momentum"
COLLAPSED = frozenset({"background-collapse", "prediction-collapse", "input-ignored"})
"""Findings of a net that gives the same answer to everything."""


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The updates are so large that each step destroys what the ones before it learned.

    Why it matters
        The net is wrecked within the first ten steps: ReLUs die and do not come back, or the loss becomes NaN. Later
        the run looks calm, even too slow, and the usual advice, a higher rate, would be harmful.

    How it is decided
        Mechanism: the largest ||update|| / ||weight|| of any weight matrix in steps 1 to 8 and while the rate warms up
        (or in the eight sampled steps before a loss that grew until it was NaN). Outcome: the loss is still at its
        first value (97 %) after half of the plan (60 to 200 steps), none of several losses has come down to half, and
        it was thrown (an update of a quarter of a matrix, updates that still are over a tenth, steps that made their
        own batch worse, or a loss a fifth over the first; one that only stays flat may be a task that is learned late);
        or it rose to three times that and is at it after 30; or it is ten times that after 10; or it is no number any
        more. Both are needed: healthy runs with large first updates are common. After an update of more than a whole
        matrix it is enough that the loss is 5 % over its first value after 30 steps, or that only one answer is left.
        Where over half of the first sampled steps made the loss of their own batch worse, that is a mechanism as well,
        unless the weights could not even move by a twentieth of their size in all planned steps; where nine of ten made
        it better, an update of under a quarter of a matrix is none. Losses of sampled actions, or of targets that the
        net makes itself, show no outcome. A layer that was alive until an update of more than a matrix's size and is
        dead since, or lies at the flat ends of a tanh or sigmoid, or a policy whose entropy is under a thousandth of
        its first since then, is an outcome where the loss is none (two optimizers, sampled actions); a layer that is
        dead to the last unit since is one everywhere. Later in the run: the rate rose by half or more over all before,
        the loss was falling until then, and is a tenth higher and not falling since: *warn*; or it is ten times as high
        after 10 steps: *error*. A momentum of one or more is exact, from the first step on: the velocity that it keeps
        never comes down.

    When it is a false alarm
        A learning-rate range test; the peak of a one-cycle schedule (the finding is resolved when the loss comes down).
        Nets with BatchNorm bear larger updates: their threshold is doubled (ten times for a whole matrix) and they get
        60 steps to recover.

    What to do
        Lower the rate to where the first update moves a typical layer by 0.55 / sqrt(S) of its size (S planned steps),
        and start again: dead units do not come back.
    """
    return _undamped(at) or _from_the_start(at, limit) or _since_a_rise(at, limit)


def _undamped(at: Context) -> Found | None:
    """A momentum of one or more: the velocity keeps all that was ever added to it, and grows."""
    momentum = max((float(o.get("momentum") or 0) for o in at.facts.get("optimizers") or ()), default=0.0)
    if momentum < 1:
        return None
    first = at.track.segment.first_step + 1
    return Found(
        "error",
        f"the momentum is {number(momentum)}: no gradient is ever forgotten",
        (f"after 100 steps a gradient still moves the weights, {number(momentum**100)} times as far as at first",),
        first,
        (Evidence("momentum", momentum, 1.0, "momentum of the optimizer", first, at.step),),
        (Remedy(DAMP, f"momentum {number(momentum)} → 0.9{of_optimizer(at)}", "the gradient norm does not grow"),),
        "If it still diverges at 0.9, lower the learning rate.",
        title="momentum of one or more",
        exact=True,
    )


def _from_the_start(at: Context, limit: Mapping[str, float]) -> Found | None:
    peak, step, layer = at.first_peak
    large = limit["peak"] * (2 if at.batchnorm else 1)
    severity: Severity = "error"
    worse = _worse(at, limit, peak)
    outcome = None if at.drifting else _stuck(at, limit, peak, worse is not None)
    blown = onset(at)
    late = growth(at, blown.step) if blown and blown.origin not in GIVEN else None
    if blown is not None and late is not None:
        severity, outcome = "fatal", f"the loss grew until it was no number, at step {blown.step}"
        if peak <= large and late.ratio is not None and late.ratio[0] > limit["late"]:
            peak, step, layer = late.ratio
    killed = _killed(at, limit) if outcome is None else None
    if killed:
        severity, outcome = "error", killed
    if outcome is None or (peak <= large and worse is None):
        return None
    if blown is None and peak <= limit["huge"] and _better(at, limit):
        return None
    now, first = at.recent_loss(), at.first_loss
    keys = [f"step {step} changed {layer} by {of_size(peak)}"] if peak > large else []
    keys += [f"{percent(worse)} of the first sampled steps made the loss of their own batch worse"] if worse else []
    return Found(
        severity,
        f"one step moved {layer} by {of_size(peak)} (reference {percent(large)})",
        (*keys, outcome),
        step,
        (
            Evidence("update.ratio", peak, large, "largest update of a weight matrix", step, step, layer),
            Evidence("loss.train", now, first, "median of the newest losses against the first", 1, at.step),
        ),
        (back_remedy(at, at.raised) if at.raised else lower_remedy(at),),
        "If the loss still does not fall, look at the scale of inputs and targets, then clip the gradient at 1.0.",
        layer=layer,
        exact=severity == "fatal" or killed is not None,
    )


def _killed(at: Context, limit: Mapping[str, float]) -> str | None:
    """What was alive before an update of more than its size is fixed since: dead units, or a policy that takes the same
    action each time. That needs no loss to be seen."""
    peak, step, _ = at.first_peak
    if peak <= limit["beyond"]:
        return None
    share, layer = at.dead
    if share >= (limit["dead"] if at.no_goal else 1) and at.dead_before(step) < 0.5 * share:
        return f"{percent(share)} of the units of {layer} have not fired since"
    if at.no_goal and (flat := _flattened(at, limit)):
        return flat
    if not at.has("distribution.entropy"):
        return None
    entropy = at.view("distribution.entropy")
    since, first = entropy.since(step + 1), float(entropy.scalar[0])
    highest = float(np.max(since.last(max(int(limit["samples"]), len(since.steps) // 2)).scalar, initial=0.0))
    if len(since.steps) < limit["samples"] or not highest < limit["fixed"] * first:
        return None
    return f"the policy takes the same action each time since: its entropy is {number(highest)} at most"


def _flattened(at: Context, limit: Mapping[str, float]) -> str | None:
    """A hidden tanh or sigmoid layer was in its range at the first step and lies at its flat ends ever since."""
    if not at.has("act.saturated"):
        return None
    view = at.view("act.saturated")
    hidden, newest = view.values[:, :-1], view.last(20).values[:, :-1]
    if len(view.steps) < 20 or not hidden.shape[1]:
        return None
    shares = np.nan_to_num(column_medians(newest), nan=0.0)
    worst = int(np.argmax(shares))
    if shares[worst] < limit["dead"] or not hidden[0, worst] < 0.5 * shares[worst]:
        return None
    return f"{percent(float(shares[worst]))} of the outputs of {view.names[worst]} lie at its flat ends since"


def _better(at: Context, limit: Mapping[str, float]) -> bool:
    """Nearly all early sampled steps made the loss of their own batch better: none of them went too far."""
    gains = _gains(at)
    return len(gains) >= limit["samples"] and float(np.mean(gains > 0)) > limit["better"]


def _gains(at: Context) -> Numbers:
    """By what share each early sampled step lowered the loss of its own batch; empty where not measured."""
    if not at.has("step.gain"):
        return np.empty(0)
    first = at.track.segment.first_step
    return finite(at.view("step.gain").since(first + 3).before(first + 61).scalar)


def _worse(at: Context, limit: Mapping[str, float], peak: float) -> float | None:
    """Share of the early sampled steps that made the loss of their own batch worse, None while it is not too high.
    Steps that leave the weights where they began made nothing worse: what differs is dropout, or rounding."""
    gains = _gains(at)
    share = float(np.mean(gains < 0)) if len(gains) >= limit["samples"] else 0.0
    return share if share > limit["worse"] and peak * at.horizon > limit["standing"] else None


def _since_a_rise(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The rate was raised in the middle of the run, and the loss has not fallen since."""
    rise = at.raised
    if rise is None or at.finetune or at.lr_at(at.step) < rise.new:
        return None
    start, old, new = rise
    age, since = at.step - start, at.loss.since(start + (at.step - start) // 2).scalar
    then, now = median(at.loss.before(start).last(30).scalar), median(since)
    lost = age >= limit["lasting"] and at.exceeds(now, limit["lost"] * then)
    higher = age >= limit["patience"] and at.exceeds(now, limit["higher"] * then) and trend(block_medians(since)) >= 0
    if not (lost or higher):
        return None
    return Found(
        "error" if lost else "warn",
        f"since the rate rose from {number(old)} to {number(new)} the loss is {number(now)}; it was {number(then)}",
        (
            f"the loss was falling until step {start} and is {percent(now / then - 1)} higher now",
            f"it does not fall at lr {number(new)}, as it did at {number(old)}",
        ),
        start,
        (
            Evidence(
                "loss.train", now, then, "median of the newest losses against those before the rise", start, at.step
            ),
        ),
        (back_remedy(at, rise),),
        "If the loss does not come back at the old rate, restore the weights of before the rise.",
    )


def _stuck(at: Context, limit: Mapping[str, float], peak: float, worse: bool) -> str | None:
    """How the loss shows that the net has not got over it; None while it may, and when it has."""
    age = at.step - at.track.segment.first_step
    now, first = at.recent_loss(), at.initial_loss
    highest = float(np.max(finite(at.loss.scalar)))
    thrown = worse or peak > limit["huge"] or highest > limit["thrown"] * first
    stuck = age >= at.patience and at.exceeds(now, limit["stuck"] * first)
    if stuck and not at.learned_apart and (thrown or _tossed(at, limit)):
        return f"after {age} steps the loss is {number(now)}, it began at {number(first)}"
    huge, soon = (2, 1) if at.batchnorm else (1, 0.5)
    if age >= limit["lasting"] and peak > huge * limit["huge"] and at.exceeds(now, limit["lost"] * first):
        return f"after {age} steps the loss is {number(now)}, it began at {number(first)}"
    replaced = peak > limit["beyond"] * (10 if at.batchnorm else 1) and age >= 0.5 * limit["patience"]
    if replaced and (same := at.opened & COLLAPSED):
        return f"the net was written over, and all that is left of it is {min(same)}"
    thrice = peak > huge * limit["huge"] and age >= soon * limit["patience"] and highest > 3 * first
    if (replaced and at.exceeds(now, limit["over"] * first)) or (thrice and at.exceeds(now, limit["stuck"] * first)):
        return f"the loss rose to {number(highest)} and is {number(now)} now; it began at {number(first)}"
    return None


def _tossed(at: Context, limit: Mapping[str, float]) -> bool:
    """The newest updates are still as large as the first ones were: no healthy run of 78 had over a tenth by then."""
    newest = np.nan_to_num(at.ratios(at.view("update.ratio").last(int(limit["samples"]))))
    return float(np.min(np.max(newest, axis=1, initial=0.0), initial=np.inf)) > limit["late"]


RULE = Rule(
    "lr-too-high",
    "learning rate too high",
    "statistical",
    (
        "update.ratio",
        "weight.norm",
        "loss.train",
        "lr",
        "grad.norm",
        "step.gain",
        "act.dead",
        "act.saturated",
        "distribution.entropy",
        "momentum",
    ),
    (LOWER, DAMP),
    "168 small runs, 78 of them healthy: peak > 5e-2 with the loss not under 0.9 of its first value found 31 of 37 "
    "with no false alarm. Karpathy's 1e-3 is the centre of long runs, not a limit.",
    check,
    {
        "peak": 5e-2,
        "huge": 0.24,
        "late": 0.1,
        "stuck": 0.97,
        "thrown": 1.2,
        "over": 1.05,
        "patience": 60,
        "lost": 10,
        "lasting": 10,
        "samples": 5,
        "worse": 0.5,
        "standing": 0.05,
        "better": 0.9,
        "beyond": 1,
        "dead": 0.9,
        "fixed": 1e-3,
        "higher": 1.1,
    },
    goal=True,
)
