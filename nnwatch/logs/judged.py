"""What can be said of a run by its log alone: the rules that can judge there, and why the others cannot.

A log has a few curves, thinned out (one step in fifty is usual), and the first value in it is not that of the
untrained net. Rules that count single steps, look into layers or know the script abstain. Of those that are left most
are asked as they are; three are decided anew here, from what a log has.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from nnwatch.advisor.changes import restore
from nnwatch.advisor.context import Context
from nnwatch.advisor.finding import Abstain, Found, number, percent, some
from nnwatch.advisor.fixes import OVERFIT, remedies
from nnwatch.advisor.learning_rate import CLIP, lower_remedy
from nnwatch.advisor.nonfinite import Growth, growth, last_finite, restart
from nnwatch.advisor.rule import Check, Rule
from nnwatch.advisor.rules.nan_loss_fn import WATCH
from nnwatch.advisor.rules.overfitting import STOP
from nnwatch.advisor.window import Numbers, finite, median, noise
from nnwatch.frame import Evidence, Remedy

RECORDS = 20
"""Losses that a window of a trend has to hold."""
_GAMES = re.compile(
    r"reward|return|episode|rollout|(^|[/_.])(d|g|disc\w*|gen\w*|critic|actor)[/_.]?loss|loss[/_.]?(d|g)$"
)
"""Names that are logged where the loss is no goal: sampled actions, two nets against each other."""
_MORE = "Run it under `nnwatch run`: it names the batch, the layer and the operation."


def rules(known: Iterable[Rule]) -> list[Rule]:
    """The same rules, as far as a log allows."""
    return [dataclasses.replace(rule, check=_OF.get(rule.id, _cannot)(rule)) for rule in known]


def _cannot(rule: Rule) -> Check:
    def check(at: Context, limit: Mapping[str, float]) -> Found | None:
        missing = [metric for metric in rule.reads if not at.has(metric)]
        if missing:
            raise Abstain(f"the log has no {some(missing)}")
        raise Abstain("it needs every step, or the script itself: a log has neither")

    return check


def _as_it_is(rule: Rule) -> Check:
    return rule.check


def _planned(rule: Rule) -> Check:
    """Trends are read from windows of steps: these have to hold enough of what was logged."""

    def check(at: Context, limit: Mapping[str, float]) -> Found | None:
        if at.planned is None:
            raise Abstain("the log does not say how many steps are planned")
        if len(at.window(at.loss).steps) < RECORDS:
            raise Abstain(f"the newest window of {at.window_length} steps holds fewer than {RECORDS} losses")
        return rule.check(at, limit)

    return check


def _with_outcome(rule: Rule) -> Check:
    """A gradient that grows while the loss falls is common, and a log shows nothing else of it."""

    def check(at: Context, limit: Mapping[str, float]) -> Found | None:
        found = rule.check(at, limit)
        if found is None or len(found.keys) < 2:
            return None
        return dataclasses.replace(found, remedies=_slower(at, found.first_step), otherwise=_MORE)

    return check


def _not_finite(rule: Rule) -> Check:
    def check(at: Context, limit: Mapping[str, float]) -> Found | None:
        step = _onset(at)
        if step is None or growth(at, step) is not None:
            return None
        before = last_finite(at, step)
        last = before.first_step
        kept, between = f"the last finite one is {number(before.value)}, of step {last}", f"steps {last + 1} to {step}"
        if last >= step:
            kept, between = "none before it was finite", f"the steps up to {step}"
        return Found(
            "fatal",
            f"the loss is not finite from step {step} of the log on",
            (f"{kept}; where it began is not in a log",),
            step,
            (before,),
            (Remedy(WATCH, f"nothing known → {between} made again under `nnwatch run`", restart(at, step)),),
            "If it does not come again, divide the learning rate by three and clip the gradient.",
            title="the loss is not finite",
            exact=True,
        )

    return check


def _divergence(rule: Rule) -> Check:
    def check(at: Context, limit: Mapping[str, float]) -> Found | None:
        step = _onset(at)
        if step is not None and (late := growth(at, step)) is not None:
            return _blown(at, step, late)
        if _no_goal(at):
            raise Abstain("rewards, or losses of two nets, are logged: the loss is no goal")
        values = finite(at.loss.scalar)
        if len(values) < RECORDS:
            raise Abstain(f"fewer than {RECORDS} losses in the log yet")
        if float(np.min(values)) < 0:
            raise Abstain("the loss can be negative: its ratios mean nothing")
        return _risen(at, values, limit)

    return check


def _blown(at: Context, step: int, late: Growth) -> Found:
    return Found(
        "fatal",
        f"the numbers grew until they were none, at step {step} of the log",
        (*late.signs, f"not finite from step {step} on"),
        step,
        (last_finite(at, step),),
        _slower(at, step),
        _MORE,
        title="diverged to NaN",
        exact=True,
    )


def _risen(at: Context, values: Numbers, limit: Mapping[str, float]) -> Found | None:
    """Ten logged losses in a row above the first ones, and above three times the best median of five."""
    first = float(np.max(values[:3]))
    fives = np.median(np.lib.stride_tricks.sliding_window_view(values, 5), axis=1)
    best = float(np.min(fives[: -int(limit["patience"])]))
    lowest = float(np.min(values[-int(limit["patience"]) :]))
    if not lowest > max(limit["slow"] * best, first):
        return None
    step, now = int(at.loss.steps[-int(limit["patience"])]), median(values[-5:])
    return Found(
        "error",
        f"loss {number(now)}, its best was {number(best)}, the first in the log {number(first)}",
        (
            f"none of the last {limit['patience']:.0f} logged losses is under {number(lowest)}",
            f"the best median of five was {number(best)}",
        ),
        step,
        (Evidence("loss.train", now, best, "median of the last five losses against the best", step, at.step),),
        _slower(at, step),
        "If it diverges again at a tenth of the rate, look for an outlier in inputs or targets at that step.",
    )


def _slower(at: Context, step: int) -> tuple[Remedy, ...]:
    """What a log does not say (a limit for the gradient) is not said to be missing."""
    norms = finite(at.view("grad.norm").before(step).last(200).scalar) if at.has("grad.norm") else np.empty(0)
    limit = number(float(np.quantile(norms, 0.9))) if len(norms) >= 10 else "1.0"
    change = f"the limit as it is, if any → clip_grad_norm_(model.parameters(), {limit})"
    return lower_remedy(at), Remedy(CLIP, change, "the gradient norm stays under that limit and the loss falls")


def _overfitting(rule: Rule) -> Check:
    """By the means of whole evaluations: their scatter stands for the standard error that a log does not have."""

    def check(at: Context, limit: Mapping[str, float]) -> Found | None:
        if _no_goal(at):
            raise Abstain("rewards, or losses of two nets, are logged: the loss is no goal")
        ev = at.evaluations
        known = np.flatnonzero(np.isfinite(ev.loss))
        if len(known) < 6:
            raise Abstain("it needs six evaluations with their loss in the log")
        losses = ev.loss[known]
        best = int(np.argmin(losses))
        low = float(losses[best])
        if len(losses) - best <= 3 or low <= 0:
            return None
        rise = median(losses[-3:]) / low - 1
        scatter = noise(losses[-12:]) / low
        if not at.exceeds(rise, max(limit["rise"], 2 * limit["scatter"] * scatter)):
            return None
        then, now = (_train(at, int(ev.steps[known[i]])) for i in (best, -1))
        if not now < limit["falls"] * then:
            return None
        step, worst = int(ev.steps[known[best]]), float(losses[-1])
        change = f"{restore(at, at.step)} → {restore(at, step)}, and stop there"
        return Found(
            "watch",
            f"val loss {number(worst)}, best {number(low)} at step {step} ({percent(rise)} higher)",
            (
                f"the median of the last three evaluations is {percent(rise)} over the best, their scatter is "
                f"{percent(scatter)}",
                f"the training loss still falls: {number(then)} then, {number(now)} now",
            ),
            step,
            (
                Evidence("loss.val", worst, low, "last evaluation against the best", step, at.step),
                Evidence("loss.train", now, then, "training loss now against then", step, at.step),
            ),
            (
                Remedy(STOP, change, f"the validation loss is {number(low)} again"),
                *remedies(at, OVERFIT[:1], f"the best validation loss is under {number(low)}"),
            ),
            "A log has no losses of single samples: `nnwatch run` compares these, and is sure earlier.",
        )

    return check


def _train(at: Context, step: int) -> float:
    """Median of the last five training losses before a step, NaN where there are none."""
    return median(at.loss.before(step + 1).last(5).scalar) if at.has("loss.train") else math.nan


def _onset(at: Context) -> int | None:
    """The first step whose training loss is not finite, unless ten finite ones came since."""
    bad = at.not_finite if at.has("loss.train") else np.empty(0, np.int64)
    if not len(bad) or len(at.loss.since(int(bad[-1]) + 1).steps) >= 10:
        return None
    return int(bad[0])


def _no_goal(at: Context) -> bool:
    return any(name.startswith("user.") and _GAMES.search(name[5:].lower()) for name in at.track)


_OF: Mapping[str, Callable[[Rule], Check]] = {
    "divergence": _divergence,
    "exploding-gradient": _with_outcome,
    "goal-reached": _as_it_is,
    "lr-decay-too-early": _planned,
    "lr-needs-decay": _planned,
    "nan-loss-fn": _not_finite,
    "overfitting": _overfitting,
    "plateau": _planned,
}
JUDGED = frozenset(_OF)
"""Rules that can judge a log; all others say why they cannot."""
