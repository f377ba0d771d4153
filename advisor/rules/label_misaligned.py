"""label-misaligned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..baseline import trivial_loss, trivial_validation_loss
from ..context import Context
from ..finding import Abstain, Found, number
from ..passes import classes
from ..rule import Rule
from ..script import no_activation
from ..window import finite, median

LINEAR = "Try a linear model on the same samples"
CONSEQUENCES = {
    "not-learning", "prediction-collapse", "plateau", "underfitting", "undertrained", "val-noise", "below-baseline",
    "label-misaligned", "label-noise", "lr-needs-decay", "oscillation", "miscalibrated", "class-imbalance",
    "overfitting", "background-collapse", "step-outlier", "data-bottleneck", "gpu-idle", "memory-leak",
}  # fmt: skip
"""Findings that explain no loss at the level of a guess."""


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The labels seem to carry no signal: nothing is learned of them, or nothing of it carries over.

    Why it matters
        When inputs and labels are shuffled against each other, a large net still brings the training loss down. Only
        data it has not seen tell.

    How it is decided
        Learned by heart: the training loss is under 92 % of that of a guess, while no evaluation was ever 5 % better
        than a guess, in its loss nor (on 150 samples or more) in telling the classes apart, and the newest three are
        worse by 3 %. Or not learned at all: after four fifths of the run the loss is within 3 % of a guess, the weights
        move as they should, and no other finding explains it. It is *watch* while the run lasts, for a hard task looks
        the same until it is solved, and *warn* at its end.

    When it is a false alarm
        Few training samples for a hard task (nothing is said under 100 rows, or under ten for each number of a sample,
        up to 500); a validation set of another kind; a net without a non-linearity, which is not judged.

    What to do
        Fit a linear model or nearest neighbours on some hundred samples taken where they enter the model: if these
        beat a guess on held-out ones, the labels are right. If not, look where inputs and labels part company: two
        shuffles, a sort, an index that is off by one.
    """
    found = _flat(at, limit) or _by_heart(at, limit)
    if found is None or not at.over:
        return found
    return replace(found, severity="warn", keys=(*found.keys, f"so it stayed until the end, at step {at.step:,}"))


def _flat(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Nothing is learned although everything moves: what is left is that the labels do not belong to the inputs."""
    late = at.track.segment.first_step + limit["late"] * (at.planned or math.inf)
    if at.step < late or "not-learning" not in at.opened or at.opened - CONSEQUENCES or no_activation(at):
        return None
    if at.step < limit["steps"] and len(at.evaluations.loss) < limit["evaluations"]:
        raise Abstain("too few steps for a hard task")
    guess, meaning = trivial_loss(at)
    now = at.recent_loss()
    moved = median(at.ratios(at.late(at.view("update.ratio")).last(20))) * at.step  # NaN where all began at zero
    if abs(now / guess - 1) > 0.03 or at.falling or not moved >= limit["moved"]:
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
                "the net → a linear model on 500 samples as they enter the model",
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
        "target.val.count",
        "predicted.val.count",
        "right.val.count",
        "val.size",
        "target.count",
    ),
    (LINEAR,),
    "Note K12, K16; nets fit random labels (Zhang et al. 2017), so only held-out data tell.",
    check,
    {"part": 0.2, "rows": 100, "plenty": 500, "steps": 300, "evaluations": 5, "samples": 150, "prior": 0.8,
     "learned": 0.92, "never": 0.95, "worse": 1.03, "order": 0.33, "scale": 2.5, "late": 0.8, "moved": 0.2},
    slow=True,
)  # fmt: skip
