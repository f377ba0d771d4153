"""below-baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..baseline import trivial_loss
from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..passes import classes, means
from ..rule import Rule
from ..script import loss
from ..window import median, noise

COMPARE = "Send training data through the validation path"
LABELS = "Compare the labels of both sets"


class Measured(NamedTuple):
    """The newest evaluations against a guess: what is said, the outcome, and the numbers."""

    what: str
    outcome: str | None
    metric: str
    value: float
    reference: float


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """On validation data the net is worse than a guess that never looks at the input, or than a linear model.

    Why it matters
        Worse than nothing is hardly ever bad luck: labels of another order, another preprocessing, a metric with its
        sign turned, or weights that were not loaded.

    How it is decided
        Mechanism: in three evaluations, after a fifth of the run, the accuracy is three standard errors under the share
        of the most frequent class, and the classes are told apart no better than by a guess; for a squared error, no
        evaluation so far was within a tenth, and three times its scatter, of the variance of the validation targets.
        Outcome: training itself is better than such a guess, or the run is over. Where `nnwatch check` has measured a
        linear model on the same data, the best evaluation of the last four fifths of the plan must be no worse than
        that by the same three standard errors (a tenth, of a squared error).

    When it is a false alarm
        Rare classes with weights: accuracy under the majority is meant there, and silent as long as each class is
        recognised.

    What to do
        Evaluate a few batches of the training set with the validation code. If they are bad as well, the code is it;
        if they are good, compare labels and inputs of the two sets.
    """
    if at.facts.get("reinforcement") or at.multi_opt:
        raise Abstain("the loss is not the goal here")
    if at.step < at.track.segment.first_step + max(at.warmup, limit["part"] * at.horizon):
        raise Abstain("too early: the first fifth of the run may be worse than a guess")
    measured = _classification(at, limit) if at.facts.get("classes") else _regression(at, limit)
    measured = measured or _linear(at, limit)
    if measured is None:
        return None
    keys = [measured.what]
    if measured.outcome:
        keys.append(measured.outcome)
    elif at.over:
        keys.append("the run is over")
    expect = f"{measured.metric} is better than {number(measured.reference)}"
    return Found(
        "warn",
        measured.what,
        tuple(keys),
        int(at.evaluations.steps[-3]),
        (Evidence(measured.metric, measured.value, measured.reference, "against what must be beaten", 0, at.step),),
        (
            Remedy(COMPARE, "validation data → three training batches, through the validation code", expect),
            Remedy(LABELS, "two label maps → one, and one preprocessing for both sets", expect),
        ),
        "If the training data do well there, the sets differ: look at 20 validation samples with their labels.",
    )


def _classification(at: Context, limit: Mapping[str, float]) -> Measured | None:
    newest = classes(at, int(limit["evaluations"]))
    n = newest.labels.sum(1)
    majority = newest.labels.max(1) / n
    best = float(np.max(newest.right.sum(1) / n - majority))
    error = 3 * math.sqrt(float(np.mean(majority * (1 - majority) / n)))
    if best > -error or not newest.guessing:
        return None
    accuracy = float(newest.right[-1].sum() / n[-1])
    train = median(at.late(at.view("accuracy.train")).last(20).scalar) if at.has("accuracy.train") else math.nan
    outcome = None
    if train > float(majority[-1]) + error:
        outcome = f"in training {percent(train)} are right"
    what = (
        f"val accuracy {percent(accuracy)} of {n[-1]:.0f}, always the most frequent class has {percent(majority[-1])}"
    )
    return Measured(what, outcome, "accuracy.val", accuracy, float(majority[-1]))


def _regression(at: Context, limit: Mapping[str, float]) -> Measured | None:
    if loss(at).get("name") != "mse_loss" or loss(at).get("reduction", "mean") != "mean":
        raise Abstain("what a guess costs is known for accuracy and for a mean squared error only")
    ev, count = at.evaluations, int(limit["evaluations"])
    if len(ev.loss) < count:
        raise Abstain(f"it needs {count} evaluations")
    std, mean = means(at, "target.val.std", 1), at.view("target.val.mean").scalar[-50:]
    variance = float(std.values[-1, 0]) ** 2 + float(np.var(mean))
    best, scatter = float(np.nanmin(ev.loss)), noise(ev.loss[-12:])
    if not best > (1 + limit["worse"]) * variance + 3 * (scatter if math.isfinite(scatter) else 0.0):
        return None
    outcome = None
    guess = trivial_loss(at)[0]
    if at.recent_loss() < 0.9 * guess:
        outcome = f"the training loss is {number(at.recent_loss())}, under the {number(guess)} of a guess"
    what = f"val loss {number(float(ev.loss[-1]))}, always the mean of the targets costs {number(variance)}"
    return Measured(what, outcome, "loss.val", float(ev.loss[-1]), variance)


def _linear(at: Context, limit: Mapping[str, float]) -> Measured | None:
    """Late in the run, the best evaluation against the linear model that an earlier check of the script trained."""
    linear = (at.facts.get("baselines") or {}).get("linear") or {}
    ev = at.evaluations
    if (
        not linear
        or len(ev.steps) < limit["evaluations"]
        or at.step < at.track.segment.first_step + limit["late"] * at.horizon
    ):
        return None
    ended = "the run is over" if at.over else f"{percent(at.step / at.horizon)} of the run are over"
    wanted, best = linear.get("accuracy"), float(np.nanmax(ev.accuracy)) if np.isfinite(ev.accuracy).any() else math.nan
    if at.facts.get("classes") and wanted is not None and math.isfinite(best):
        error = 3 * math.sqrt(max(wanted * (1 - wanted), 1e-3) / float(ev.size[-1]))
        if best < wanted - error:
            what = f"val accuracy {percent(best)} at best, a linear model has {percent(wanted)}"
            return Measured(what, ended, "accuracy.val", best, float(wanted))
    wanted, least = linear.get("loss"), float(np.nanmin(ev.loss)) if np.isfinite(ev.loss).any() else math.nan
    if loss(at).get("name") == "mse_loss" and wanted is not None and least > (1 + limit["worse"]) * wanted:
        what = f"val loss {number(least)} at best, a linear model has {number(wanted)}"
        return Measured(what, ended, "loss.val", least, float(wanted))
    return None


RULE = Rule(
    "below-baseline",
    "worse than a constant guess",
    "statistical",
    (
        "accuracy.val", "target.val.count", "predicted.val.count", "right.val.count", "accuracy.train",
        "loss.val", "target.val.mean", "target.val.std", "loss.train",
    ),
    (COMPARE, LABELS),
    "Notes B24, K16 (a baseline first); three standard errors over three evaluations.",
    check,
    {"part": 0.2, "evaluations": 3, "worse": 0.1, "late": 0.8},
    slow=True,
    goal=True,
)  # fmt: skip
