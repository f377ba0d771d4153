"""background-collapse."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..passes import classes, dense
from ..place import of_loss
from ..rule import Rule
from ..script import loss
from ..window import finite

WEIGHTS = "Weigh the foreground"
OVERLAP = "Train on the overlap"
CROPS = "Crop around the foreground"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Nearly every pixel is predicted as background.

    Why it matters
        Where 95 % of the pixels are background, the empty answer has 95 % accuracy and a low loss, and is worth
        nothing.

    How it is decided
        Only where a sample has many labels. Mechanism: in three evaluations, after a fifth of the run, over 99.5 % of
        the predictions are one class that has over half of the labels, while over 1 % are of others. Outcome: under 1 %
        of all other labels are found. Of two classes, whose predictions are not counted: the accuracy is the share of
        the zeros, to a fiftieth of that of the ones.

    When it is a false alarm
        The first part of a training on small objects; after that hardly ever.

    What to do
        Weigh the classes by the inverse of their share, or add a loss of overlap (Dice) to the cross entropy; show
        crops with foreground in every batch.
    """
    if not dense(at):
        raise Abstain("a sample has one label")
    if at.step < at.track.segment.first_step + max(at.warmup, limit["part"] * at.horizon):
        raise Abstain("too early: the background is learned first")
    if str(loss(at).get("name", "")).startswith("binary_cross_entropy"):
        return _binary(at, limit)
    newest = classes(at, int(limit["evaluations"]))
    labels = newest.labels.sum(0)
    background = int(np.argmax(labels))
    share = float(labels[background] / labels.sum())
    said = float(np.min(newest.predicted[:, background] / newest.predicted.sum(1)))
    if not said > limit["said"] or not limit["background"] < share <= 1 - limit["foreground"]:
        return None
    others = np.delete(newest.right.sum(0), background).sum() / np.delete(labels, background).sum()
    keys = [f"{percent(said)} of the predictions are class {background}, which is {percent(share)} of the labels"]
    if others < 0.01:
        keys.append(f"{percent(float(others))} of all other labels are found")
    said_of = Evidence("predicted.val.count", said, share, f"share of class {background} in predictions", 0, at.step)
    return _found(at, limit, keys, share, said_of)


def _binary(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Of two classes the accuracy tells: it is the share of the background in each of the newest evaluations."""
    count = int(limit["evaluations"])
    accuracy, ones = at.evaluations.accuracy[-count:], finite(at.view("target.val.mean").last(50).scalar)
    if len(accuracy) < count or not len(ones):
        raise Abstain(f"it needs {count} evaluations with their accuracy")
    foreground = float(np.mean(ones))
    if not limit["foreground"] <= foreground < 1 - limit["background"]:
        return None
    beyond = float(np.max(np.abs(accuracy - (1 - foreground))))
    if not beyond <= limit["near"] * foreground:
        return None
    keys = [
        f"{percent(float(accuracy[-1]))} of the predictions are right, {percent(1 - foreground)} of the labels are 0",
        f"so it is in each of the newest {count} evaluations: hardly any 1 is predicted",
    ]
    said_of = Evidence("accuracy.val", float(accuracy[-1]), 1 - foreground, "against the share of zeros", 0, at.step)
    return _found(at, limit, keys, 1 - foreground, said_of)


def _found(at: Context, limit: Mapping[str, float], keys: list[str], share: float, said_of: Evidence) -> Found:
    """``share`` is that of the background in the labels."""
    name = loss(at).get("name", "the loss")
    expect = "over 10 % of the foreground is found"
    return Found(
        "warn",
        keys[0],
        tuple(keys),
        int(at.evaluations.steps[-int(limit["evaluations"])]),
        (said_of,),
        (
            Remedy(WEIGHTS, f"{name}(...){of_loss(at)} → weight = {number(share / (1 - share))} for the foreground",
                   expect),
            Remedy(OVERLAP, f"{name}{of_loss(at)} → {name} + Dice loss", expect),
            Remedy(CROPS, "crops at random → every second crop around foreground", expect),
        ),
        "If the foreground stays unseen, look at its size where it enters the model: is it still visible?",
    )  # fmt: skip


RULE = Rule(
    "background-collapse",
    "everything is background",
    "statistical",
    ("predicted.val.count", "target.val.count", "right.val.count", "val.size", "accuracy.val", "target.val.mean"),
    (WEIGHTS, OVERLAP, CROPS),
    "Lin et al. 2017 (focal loss), Milletari et al. 2016 (Dice).",
    check,
    {"said": 0.995, "foreground": 0.01, "background": 0.5, "near": 0.02, "part": 0.2, "evaluations": 3},
    slow=True,
)
