"""preprocessing-mismatch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..belonging import held_out, kinds, new_rows, validated
from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..passes import newest
from ..rule import Rule
from ..window import finite, median

SAME = "One preprocessing for both"
MADE = 1.25
"""Factor between early and late deviations of training inputs, over which these are a state that is handed on."""
ELSEWHERE = {"val-in-train-mode", "eval-mode-wrong", "batchnorm-stats", "ema-stale", "augmentation-on-validation"}
"""Findings that explain why validation is another thing."""


class Moments(NamedTuple):
    """Mean and standard deviation over the batches, and the scatter of the mean from batch to batch."""

    mean: float
    std: float
    scatter: float


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Validation inputs are prepared differently from training inputs.

    Why it matters
        The net is asked about numbers it has never seen: it is judged far worse than it is, and the same will happen
        where it is used.

    How it is decided
        Mechanism: the mean of the validation inputs is off by over half a training standard deviation, or the standard
        deviations differ by a factor of over 1.5; both beyond six times the scatter from batch to batch. Outcome: the
        validation loss is over 1.5 times the training loss, or the accuracy lower by three standard errors. Alone it is
        *watch*.
        Or, whatever the inputs are: when training rows came for the first time, their own targets fitted them better
        than those of others, by three standard errors, so what is learned does hold for new rows; and yet in no
        evaluation does it, nor in the second half of the steps together.

    When it is a false alarm
        Strong augmentation of the training data changes their deviation (noise, cut-outs), at most by such factors.
        Inputs whose deviation changes while it trains (the state of a recurrent net that is handed on) are not judged.
        A series that drifts differs between its parts by itself: where training batches drift, or the targets of
        validation have moved with its inputs, it is *watch*. Not so if they lie over ten training deviations off and
        are stretched as well: of random walks, of their sums and of exponentials of them, at most one in seventy ends
        in a part like that.

    What to do
        Compute mean and deviation on the training data once, and use these same numbers for both sets.
    """
    if at.has("input.mean") and at.has("input.val.mean") and (found := _moments(at, limit)) is not None:
        return found
    if not at.has("target.match"):
        raise Abstain("neither the moments of the inputs nor the fit of the targets are known")
    return _holds_only_in_training(at, limit)


def _holds_only_in_training(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Training rows that were new fitted their targets, and no validation rows do."""
    if at.rl or at.opened & ELSEWHERE or at.step < at.track.segment.first_step + limit["part"] * at.horizon:
        return None
    for kind in kinds(at):
        new, there, evaluations = new_rows(at, kind), held_out(at, 0.5, kind), validated(at, kind)
        if new is None or there is None or len(evaluations) < limit["looks"] or any(one.told for one in evaluations):
            continue
        if new.seems_told and there.guessed and there.under(0.65):
            return Found(
                "warn",
                f"own targets fit in {percent(there.share)} of the pairs in validation, as a guess does; in training "
                f"they did in {percent(new.share)} when the rows were new",
                ("what is learned holds for training rows that were never seen before",
                 f"it holds for no validation rows, in {len(evaluations)} evaluations"),
                there.step,
                (Evidence("target.val.match", there.share, new.share, "share of pairs in which the own target costs "
                          "less, against new rows of training", there.step, at.step),),
                (Remedy(SAME, "validation rows → through the very code that prepares those of training (vocabulary, "
                        "order of columns, labels)", f"target.val.match is about {number(new.share)}"),),
                "If it is the same code, validation targets belong to other rows, or the sets are of different kinds.",
                title="validation inputs are prepared differently",
            )  # fmt: skip
    return None


def _moments(at: Context, limit: Mapping[str, float]) -> Found | None:
    train = at.once("training moments", ("input.mean", "input.std"), lambda: _training(at))
    val = at.once("validation moments", ("input.val.mean", "input.val.std"), lambda: _validation(at))
    if not train.std > 0:
        raise Abstain("the training inputs are constant")
    shift = abs(val.mean - train.mean) / train.std
    factor = max(val.std, 1e-9) / train.std
    noise = max(train.scatter, val.scatter) / train.std
    moved = at.exceeds(shift, max(limit["shift"], 6 * noise))
    scaled = at.exceeds(abs(math.log(factor)), math.log(limit["factor"]) + 3 * noise)
    if not (moved or scaled):
        return None
    keys = [
        f"training inputs have mean {number(train.mean)} and deviation {number(train.std)}, validation inputs "
        f"{number(val.mean)} and {number(val.std)}"
    ]
    outcome = _outcome(at)
    too_far = scaled and factor > 1 and shift > limit["far"]
    together = shift > 0 and not too_far and _targets_moved(at) > limit["along"] * shift
    drift = max(train.scatter / train.std, val.scatter / max(val.std, 1e-9))
    severity: Severity = "warn" if outcome and drift < limit["drift"] and not together else "watch"
    if outcome:
        keys.append(outcome)
    begin = int(at.view("input.val.mean").steps[0])
    return Found(
        severity,
        f"validation inputs: mean {number(val.mean)}, deviation {number(val.std)}; training inputs: "
        f"{number(train.mean)}, {number(train.std)}",
        tuple(keys),
        begin,
        (
            Evidence("input.val.mean", val.mean, train.mean, "mean, against that of training", begin, at.step),
            Evidence("input.val.std", val.std, train.std, "deviation, against that of training", begin, at.step),
        ),
        (
            Remedy(
                SAME,
                f"two scalings → (x - {number(train.mean)}) / {number(train.std)} of the training data for both",
                f"input.val.mean is {number(train.mean)} and input.val.std {number(train.std)}",
            ),
        ),
        "If the code is the same, the sets come of different sources: compare where they were recorded.",
    )


def _targets_moved(at: Context) -> float:
    """How far the validation targets of a regression lie from those of training, in the deviations of these; 0 where
    that is not known."""
    metrics = ("target.mean", "target.std", "target.val.mean")
    if at.facts.get("classes") or not all(at.has(metric) for metric in metrics):
        return 0.0
    mean, std, val = (median(at.view(metric).last(200).scalar) for metric in metrics)
    return abs(val - mean) / std if std > 0 else 0.0


def _training(at: Context) -> Moments:
    means, stds = (finite(at.view(f"input.{kind}").last(200).scalar) for kind in ("mean", "std"))
    if len(means) < 2 or not len(stds):
        raise Abstain("too few batches were measured")
    quarter = len(stds) // 4
    if quarter and not 1 / MADE < median(stds[:quarter]) / max(median(stds[-quarter:]), 1e-30) < MADE:
        raise Abstain("the training inputs change as training goes on: the net makes them itself")
    return Moments(median(means), median(stds), float(np.std(means)))


def _validation(at: Context) -> Moments:
    mean, std = newest(at, "input.val.mean", 3), newest(at, "input.val.std", 3)
    means = finite(mean.scalar)
    if not len(means):
        raise Abstain("the validation inputs have no moments")
    return Moments(median(means), median(std.scalar), float(np.std(means)))


def _outcome(at: Context) -> str | None:
    ev = at.evaluations
    if not len(ev.loss):
        return None
    val, train = float(ev.loss[-1]), at.recent_loss()
    if at.has("accuracy.train") and math.isfinite(accuracy := float(ev.accuracy[-1])):
        now = median(at.late(at.view("accuracy.train")).last(20).scalar)
        if now - accuracy > 3 * math.sqrt(max(accuracy * (1 - accuracy), 1e-3) / float(ev.size[-1])):
            return f"{percent(now)} are right in training, {percent(accuracy)} in validation"
        return None
    if val > 1.5 * train and val - train > 0.02 * at.initial_loss:
        return f"the validation loss is {number(val)}, the training loss {number(train)}"
    return None


RULE = Rule(
    "preprocessing-mismatch",
    "validation inputs are scaled differently",
    "statistical",
    ("input.mean", "input.std", "input.val.mean", "input.val.std", "loss.val", "loss.train", "accuracy.train",
     "accuracy.val", "target.mean", "target.std", "target.val.mean", "target.match", "target.pairs", "target.val.match",
     "target.val.pairs"),
    (SAME,),
    "Moments of the inputs of both sets, against their scatter from batch to batch.",
    check,
    {"shift": 0.5, "factor": 1.5, "drift": 0.3, "along": 0.5, "far": 10, "part": 0.2, "looks": 3},
)  # fmt: skip
