"""label-misaligned."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..baseline import trivial_loss
from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..passes import classes, dense
from ..rule import Rule

LINEAR = "Try a linear model on the same samples"
CONSEQUENCES = {
    "not-learning", "prediction-collapse", "plateau", "underfitting", "undertrained", "val-noise", "below-baseline",
    "label-misaligned", "label-noise", "lr-needs-decay", "oscillation", "miscalibrated", "class-imbalance",
    "overfitting", "step-outlier", "data-bottleneck", "gpu-idle", "memory-leak",
}  # fmt: skip
"""Findings that explain no loss at the level of a guess."""


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The labels seem to carry no signal: nothing is learned of them, or nothing of it carries over.

    Why it matters
        When inputs and labels are shuffled against each other, a large net still brings the training loss down. Only
        data it has not seen tell.

    How it is decided
        Learned by heart: the training loss is under 70 % of that of a guess, while in all of the last five evaluations,
        on 200 samples or more, the classes are told apart no better than by a guess. Or not learned at all: after four
        fifths of the run the loss is within 3 % of a guess, the weights move as they should, and no other finding
        explains it. It is never more than *watch* by itself: a hard task looks the same.

    When it is a false alarm
        Few training samples for a hard task; a validation set of another kind.

    What to do
        Fit a linear model or nearest neighbours on some hundred samples taken where they enter the model: if these
        beat a guess on held-out ones, the labels are right. If not, look where inputs and labels part company: two
        shuffles, a sort, an index that is off by one.
    """
    return _flat(at, limit) or _by_heart(at, limit)


def _flat(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Nothing is learned although everything moves: what is left is that the labels do not belong to the inputs."""
    late = at.track.segment.first_step + limit["late"] * (at.planned or math.inf)
    if at.step < late or "not-learning" not in at.opened or at.opened - CONSEQUENCES:
        return None
    guess, meaning = trivial_loss(at)
    now = at.recent_loss()
    moved = float(np.nanmedian(at.ratios(at.late(at.view("update.ratio")).last(20)))) * at.step
    if abs(now / guess - 1) > 0.03 or moved < limit["moved"]:
        return None
    return Found(
        "watch",
        f"loss {number(now)} after {at.step:,} steps, a guess has {number(guess)} ({meaning}); nothing else is wrong",
        (f"the steps add up to {number(moved)} times the size of the weights, and the loss is where it began",),
        at.track.segment.first_step + 1,
        (Evidence("loss.train", now, guess, "against a constant guess", 0, at.step),),
        (Remedy(LINEAR, "the net → a linear model on 500 samples as they enter the model",
                f"its loss is under {number(0.97 * guess)}; if it is not, the labels belong to other inputs"),),
        "If a linear model finds a signal, the net is at fault: overfit ten samples with it first.",
    )  # fmt: skip


def _by_heart(at: Context, limit: Mapping[str, float]) -> Found | None:
    if dense(at):
        raise Abstain("a sample has many labels")
    if at.step < at.track.segment.first_step + max(at.warmup, limit["part"] * at.horizon):
        raise Abstain("too early: nothing need carry over yet")
    newest = classes(at, int(limit["evaluations"]))
    samples = float(newest.labels[-1].sum())
    guess = trivial_loss(at)[0]
    learned = at.recent_loss()
    balanced, error = newest.chance
    majority = float(newest.labels[-1].max() / samples)
    if majority > limit["prior"]:
        raise Abstain("one class has nearly all labels: accuracy shows little")
    if samples < limit["samples"] or not 0 <= learned < 0.7 * guess or not newest.guessing:
        return None
    if balanced < 1 / int((newest.labels.sum(0) > 0).sum()) - error:
        return None  # worse than a guess is another fault
    accuracy = newest.right.sum(1) / newest.labels.sum(1)
    if float(np.max(accuracy)) > majority + 3 * math.sqrt(majority * (1 - majority) / samples):
        return None
    now = float(accuracy[-1])
    return Found(
        "watch",
        f"training loss {number(learned)}, a guess has {number(guess)}; val accuracy {percent(now)}, a guess "
        f"{percent(majority)}",
        ("what is learned of the training data does not carry over at all",),
        int(at.evaluations.steps[-len(accuracy)]),
        (Evidence("accuracy.val", now, majority, f"over {samples:.0f} samples, against a guess", 0, at.step),),
        (
            Remedy(
                LINEAR,
                "the net → logistic regression on 500 samples as they enter the model",
                f"its held-out accuracy is over {percent(majority)}; if it is not, the labels belong to other inputs",
            ),
        ),
        "If a linear model finds a signal, it is overfitting: more data, or a smaller net.",
    )


RULE = Rule(
    "label-misaligned",
    "the labels carry no signal",
    "statistical",
    (
        "loss.train",
        "update.ratio",
        "target.val.count",
        "predicted.val.count",
        "right.val.count",
        "val.size",
        "target.count",
    ),
    (LINEAR,),
    "Note K12, K16; nets fit random labels (Zhang et al. 2017), so only held-out data tell.",
    check,
    {"part": 0.2, "evaluations": 5, "samples": 200, "prior": 0.8, "late": 0.8, "moved": 0.2},
)  # fmt: skip
