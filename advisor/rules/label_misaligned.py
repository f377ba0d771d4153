"""label-misaligned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..baseline import trivial_loss, trivial_validation_loss
from ..belonging import CONSEQUENCES, Fit, explained, held_out, kinds, new_rows, trained, validated
from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..passes import classes
from ..place import of
from ..rule import Rule
from ..script import no_activation
from ..window import column_medians, finite, median, together

LINEAR = "Try a linear model on the same samples"
TOGETHER = "Keep states, actions and log-probabilities together"
VALIDATION = {"preprocessing-mismatch", "augmentation-on-validation", "val-in-train-mode", "batchnorm-stats"}
"""Findings that explain why nothing carries over."""


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The labels seem to carry no signal: nothing is learned of them, or nothing of it carries over.

    Why it matters
        When inputs and labels are shuffled against each other, a large net still brings the training loss down. Only
        data it has not seen tell.

    How it is decided
        Whatever the loss, and of each kind of loss call: a sample's own target is compared with those of others. In no
        evaluation does it cost the sample less in more than half of the pairs, but for chance; and in training it
        either does (learned by heart), or it does not there either, although the weights have moved and no other
        finding explains it. Or it does in validation, and not in training, where it should be easier: by four standard
        errors in the second half of the steps. Where a model has
        several inputs: the loss stays the same, by two standard errors and a hundredth, when the first is permuted
        among the samples, though it changes what comes out and another input counts.
        Where that is not measured, by heart: the training loss is under 92 % of that of a guess, while no evaluation
        was ever 5 % better than a guess, in its loss nor (on 150 samples or more) in telling the classes apart, and the
        newest three are worse by 3 %. Or not learned at all: after four fifths of the run the loss is within 3 % of a
        guess, the weights move as they should, and no other finding explains it. Of a policy that learns from a ratio
        of new to old probabilities: before its first step the ratio is 1, or the actions, the states and the old
        log-probabilities do not belong together; there its logarithm spreads a tenth as much as the log-probabilities
        or more: an error. The rest is *watch* while the run lasts, for
        a hard task looks the same until it is solved, and *warn* at its end.

    When it is a false alarm
        Few training samples for a hard task (nothing is said under 100 rows, or under ten for each number of a sample,
        up to 500); a validation set of another kind; a net without a non-linearity, which is not judged.

    What to do
        Fit a linear model or nearest neighbours on some hundred samples taken where they enter the model: if these
        beat a guess on held-out ones, the labels are right. If not, look where inputs and labels part company: two
        shuffles, a sort, an index that is off by one.
    """
    if found := _actions(at, limit):
        return found
    found = _one_input(at, limit)
    if found is None:
        found = _apart(at, limit) if at.has("target.match") else _flat(at, limit) or _by_heart(at, limit)
    if found is None or not at.over:
        return found
    return replace(found, severity="warn", keys=(*found.keys, f"so it stayed until the end, at step {at.step:,}"))


def _actions(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The first ratio of a policy's probabilities to those it acted by is not 1. Dropout and statistics of a batch make
    another policy of the same weights."""
    layers = at.facts.get("layers") or {}
    if not (at.rl and at.has("policy.drift")) or layers.get("dropout") or layers.get("batchnorm"):
        return None
    view, begin = at.view("policy.drift"), at.track.segment.first_step + 1
    drift = float(view.scalar[0])
    if int(view.steps[0]) != begin or not drift > limit["drift"]:
        return None
    return Found(
        "error",
        "before its first step the policy gives the actions other probabilities than those they were taken with",
        (f"the logarithm of their ratio spreads {number(drift)} times as much as the log-probabilities: 0 is right",),
        begin,
        (Evidence("policy.drift", drift, 0.0, "spread of the first log-ratios over that of log-probabilities", begin,
                  begin),),
        (Remedy(TOGETHER, "one index for states, actions, old log-probabilities and advantages → the same in each",
                "policy.drift is 0 in the first pass over each batch"),),
        "If they belong together, the old ones are of another policy: compute them by the one that acted.",
        title="actions belong to other states",
        exact=True,
    )  # fmt: skip


def _apart(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The targets of other samples fit as well as their own, of one kind of loss call."""
    if at.step < at.track.segment.first_step + max(at.warmup, limit["part"] * at.horizon):
        raise Abstain("too early: nothing need carry over yet")
    if at.rl:
        raise Abstain("the targets of reinforcement learning are what comes of the net's own actions")
    found = (_in_training_alone(at, limit, kind) or _of_kind(at, limit, kind) for kind in kinds(at))
    return next(filter(None, found), None)


def _in_training_alone(at: Context, limit: Mapping[str, float], kind: int) -> Found | None:
    """What was never trained on is told from others, what is trained on is not."""
    there = held_out(at, 0.5, kind)
    if there is None or not there.told or explained(at):
        return None
    here = trained(at, 0.5, kind)
    if not (here.guessed and here.under(0.65) and there.beside(here) > limit["apart"]):
        return None
    return _found(at, here, here, f"in validation they do not: there the own one costs less in {percent(there.share)}")


def _of_kind(at: Context, limit: Mapping[str, float], kind: int) -> Found | None:
    evaluations = validated(at, kind)
    if any(one.told for one in evaluations) or (len(kinds(at)) == 1 and _carries_over(at)):
        return None
    learned = trained(at, 0.5, kind)
    if len(evaluations) >= limit["looks"] and learned.share > 0.5 and not learned.guessed:
        newest = evaluations[-1]
        if at.opened & VALIDATION:
            raise Abstain("what is validated is not what is trained on: nothing need carry over")
        if not (newest.no_better and newest.under(0.75)):
            return None
        if (new := new_rows(at, kind)) is not None and new.seems_told:
            return None  # what is learned does hold for other rows: it is validation that is not like training
        if at.train_rows and at.train_rows < _enough(at, limit):
            raise Abstain("of so few rows hardly anything carries over")
        return _found(at, newest, learned, _pairs("in training they have come to fit, by heart", learned))
    ever = trained(at, limit["part"], kind)
    if not (ever.guessed and ever.under(0.65)) or explained(at) or no_activation(at) or not _long_enough(at, limit):
        return None
    if not _moved(at) >= limit["moved"]:
        return None
    return _found(
        at, evaluations[-1] if evaluations else ever, ever, _pairs("in training they never fitted better", ever)
    )


def _pairs(why: str, fit: Fit) -> str:
    return f"{why}: {percent(fit.share)} of the pairs there"


def _carries_over(at: Context) -> bool:
    """Does the validation loss still reach new lows, long after a guess was learned?"""
    losses = finite(at.evaluations.loss)
    half = len(losses) // 2
    return half >= 2 and 0 < losses[-1] < 0.98 * float(np.min(losses[: half + 1]))


def _found(at: Context, fit: Fit, learned: Fit, why: str) -> Found:
    where = "in validation" if fit is not learned else "in training"
    return Found(
        "watch",
        f"the targets of other samples fit as well as their own, {where}: in {percent(fit.share)} of the pairs "
        "the own one costs less, a guess has 50 %",
        (why,),
        at.track.segment.first_step + 1,  # labels do not go astray on the way
        (Evidence("target.val.match" if fit is not learned else "target.match", fit.share, 0.5,
                  "share of pairs in which the own target costs less", fit.step, at.step),),
        (Remedy(LINEAR, "the net → a linear model on 500 samples as they enter the model",
                "on held-out samples it beats a guess; if it does not, the targets belong to other inputs"),),
        "If a linear model finds a signal, the net is at fault: overfit ten samples with it first.",
    )  # fmt: skip


def _one_input(at: Context, limit: Mapping[str, float]) -> Found | None:
    """One of several inputs has nothing to do with the targets, though the net listens to it."""
    if not at.has("loss.permuted.alone") or at.step < at.track.segment.first_step + max(
        at.warmup, limit["late"] * at.horizon
    ):
        return None
    alone, plain = together(at.late(at.view("loss.permuted.alone")), at.late(at.view("loss.train.eval")))
    a, b = alone.values, plain.values
    rises = (a - b).astype(np.float64)
    if len(rises) < limit["looks"] or at.opened - CONSEQUENCES or not np.isfinite(rises).all():
        return None
    mean, error = rises.mean(0), rises.std(0) / math.sqrt(len(rises))
    level = abs(median(b))
    useless = (mean < np.maximum(2 * error, 1e-3 * level)) & (mean < 0.01 * level) & (rises != 0).all(0)
    if not useless[0] or useless.all() or not np.any(mean > 0.1 * level) or not _moved(at) >= limit["moved"]:
        return None
    return Found(
        "watch",
        f"the loss stays at {number(median(a[:, 0]))} when the first input is permuted among the samples "
        f"({number(level)} before)",
        (f"the net reads it, and another input counts: permuting that one costs {number(float(mean.max()))}",),
        int(plain.steps[0]),
        (Evidence("loss.permuted.alone", median(a[:, 0]), level, "loss with the first input permuted", 0, at.step),),
        (Remedy(LINEAR, "the net → a linear model on 500 samples as they enter the model",
                "on held-out samples it beats a guess; if it does not, the targets belong to other inputs"),),
        "If the pairs are right, look where the first input is lost on its way to the output.",
    )  # fmt: skip


def _long_enough(at: Context, limit: Mapping[str, float]) -> bool:
    late = at.track.segment.first_step + limit["late"] * (at.planned or math.inf)
    return at.step >= late and (at.step >= limit["steps"] or len(at.evaluations.loss) >= limit["evaluations"])


def _moved(at: Context) -> float:
    """How often the steps so far add up to the size of the weights; NaN where all began at zero."""
    view = at.view("update.ratio").thin(400)
    ratios = column_medians(at.ratios(view).T)
    known = np.isfinite(ratios)
    lengths = np.diff(view.steps[known], append=at.step + 1)
    return float((ratios[known] * lengths).sum(dtype=np.float64)) if known.any() else math.nan


def _flat(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Nothing is learned although everything moves: what is left is that the labels do not belong to the inputs."""
    late = at.track.segment.first_step + limit["late"] * (at.planned or math.inf)
    if at.step < late or "not-learning" not in at.opened or at.opened - CONSEQUENCES or no_activation(at):
        return None
    if at.step < limit["steps"] and len(at.evaluations.loss) < limit["evaluations"]:
        raise Abstain("too few steps for a hard task")
    guess, meaning = trivial_loss(at)
    now = at.recent_loss()
    moved = _moved(at)
    if abs(now / guess - 1) > 0.03 or at.falling or not moved >= limit["moved"]:
        return None
    return Found(
        "watch",
        f"loss {number(now)} after {at.step:,} steps, a guess has {number(guess)} ({meaning}); nothing else is wrong",
        (f"the steps add up to {number(moved)} times the size of the weights, and the loss is where it began",),
        at.track.segment.first_step + 1,
        (Evidence("loss.train", now, guess, "against a constant guess", 0, at.step),),
        (Remedy(LINEAR, f"the net → a linear model on 500 samples{of(at, 'loader')} as they enter the model",
                f"its loss is under {number(0.97 * guess)}; if it is not, the labels belong to other inputs"),),
        "If a linear model finds a signal, the net is at fault: overfit ten samples with it first.",
    )  # fmt: skip


def _by_heart(at: Context, limit: Mapping[str, float]) -> Found | None:
    if at.step < at.track.segment.first_step + max(at.warmup, limit["part"] * at.horizon):
        raise Abstain("too early: nothing need carry over yet")
    if at.train_rows and at.train_rows < _enough(at, limit):
        raise Abstain("of so few rows hardly anything carries over")
    losses, learned, guess = finite(at.evaluations.loss), at.recent_loss(), trivial_loss(at)[0]
    beside = trivial_validation_loss(at)
    if len(losses) < limit["evaluations"] or not 0 <= learned < limit["learned"] * guess:
        return None
    newest = median(losses[-3:])
    if float(np.min(losses)) < limit["never"] * beside or newest < limit["worse"] * beside:
        return None
    if _told_apart(at, limit) or (not at.has("target.val.count") and newest > limit["scale"] * beside):
        return None
    return Found(
        "watch",
        f"training loss {number(learned)}, a guess has {number(guess)}; validation {number(newest)}, never below",
        ("what is learned of the training data does not carry over at all",),
        int(at.evaluations.steps[0]),
        (Evidence("loss.val", newest, guess, "the newest evaluations against a guess", 0, at.step),),
        (
            Remedy(
                LINEAR,
                f"the net → a linear model on 500 samples{of(at, 'loader')} as they enter the model",
                "on held-out samples it beats a guess; if it does not, the labels belong to other inputs",
            ),
        ),
        "If a linear model finds a signal, it is overfitting: more data, or a smaller net.",
    )


def _enough(at: Context, limit: Mapping[str, float]) -> float:
    """Rows from which on something has to carry over: ten for each number of a sample, between a floor and a roof."""
    shape = (at.facts.get("shapes") or {}).get("input") or ()
    numbers = math.prod(int(size) for size in shape[1:])
    return min(max(10.0 * numbers, limit["rows"]), limit["plenty"])


def _told_apart(at: Context, limit: Mapping[str, float]) -> bool:
    """Some evaluation tells the classes apart better than a guess does, or takes one for another: then the labels do
    carry something. False where there are no classes to tell."""
    if not at.has("target.val.count"):
        return False
    newest = classes(at, int(limit["evaluations"]))
    samples, guess = float(newest.labels[-1].sum()), 1 / int((newest.labels.sum(0) > 0).sum())
    majority = float(newest.labels[-1].max() / samples)
    if majority > limit["prior"]:
        raise Abstain("one class has nearly all labels: accuracy shows little")
    if samples < limit["samples"] or newest.chance[0] < limit["order"] * guess:
        return True  # far worse than a guess: what is predicted has a meaning, and another one
    accuracy = newest.right.sum(1) / newest.labels.sum(1)
    return float(np.max(accuracy)) > majority + 3 * math.sqrt(majority * (1 - majority) / samples)


RULE = Rule(
    "label-misaligned",
    "the labels carry no signal",
    "statistical",
    (
        "loss.train",
        "loss.val",
        "update.ratio",
        "target.match",
        "target.pairs",
        "target.val.match",
        "target.val.pairs",
        "loss.permuted.alone",
        "loss.train.eval",
        "target.val.count",
        "predicted.val.count",
        "right.val.count",
        "val.size",
        "target.count",
        "policy.drift",
    ),
    (LINEAR, TOGETHER),
    "Note K12, K16; nets fit random labels (Zhang et al. 2017), so only held-out data tell.",
    check,
    {"part": 0.2, "rows": 100, "plenty": 500, "steps": 300, "evaluations": 5, "samples": 150, "prior": 0.8,
     "learned": 0.92, "never": 0.95, "worse": 1.03, "order": 0.33, "scale": 2.5, "looks": 3, "apart": 4,
     "late": 0.8, "moved": 0.2, "drift": 0.1},
    slow=True,
)  # fmt: skip
