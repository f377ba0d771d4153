"""prediction-collapse."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..fixes import IMBALANCE, remedies, titles
from ..passes import classes, dense
from ..rule import Rule


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The net predicts one class for nearly everything.

    Why it matters
        The loss may look fair and the accuracy is that of the most frequent class: nothing is recognised.

    How it is decided
        Mechanism: in three evaluations, after a fifth of the run, the entropy of the predicted classes is under a
        tenth of that of the labels. Outcome: the classes are told apart no better than by a guess.

    When it is a false alarm
        Where more than 95 % of the labels are of one class the prediction is right, and nothing is said. In the first
        part of a run every net does it.

    What to do
        Rule out a dead net and a wrong rate first (they are named where they were found). Then it is the classes: draw
        them equally often, or weigh them.
    """
    if dense(at):
        raise Abstain("a sample has many labels")
    if at.step < at.track.segment.first_step + max(at.warmup, limit["part"] * at.horizon):
        raise Abstain("too early: every net begins with one class")
    newest = classes(at, int(limit["evaluations"]))
    if newest.labels[-1].max() / newest.labels[-1].sum() > limit["prior"]:
        raise Abstain("nearly all labels are of one class")
    there, said = _entropy(newest.labels), _entropy(newest.predicted)
    share = float(np.max(said / np.maximum(there, 1e-9)))
    if not at.undercuts(share, limit["entropy"]):
        return None
    common = int(np.argmax(newest.predicted[-1]))
    part = float(newest.predicted[-1, common] / newest.predicted[-1].sum())
    truth = float(newest.labels[-1, common] / newest.labels[-1].sum())
    keys = [f"the predictions have {percent(share)} of the entropy of the labels, in three evaluations"]
    balanced, error = newest.chance
    if newest.guessing:
        keys.append(f"balanced accuracy is {percent(balanced)}, a guess has up to {percent(balanced + error)}")
    return Found(
        "warn",
        f"{percent(part)} of the predictions are class {common}, {percent(truth)} of the labels are",
        tuple(keys),
        int(at.evaluations.steps[-int(limit["evaluations"])]),
        (
            Evidence("predicted.val.count", part, truth, f"share of class {common} in the predictions", 0, at.step),
            Evidence("right.val.count", balanced, None, "balanced accuracy", 0, at.step),
        ),
        remedies(at, IMBALANCE, f"under {number(100 * (1 + truth) / 2)} % of the predictions are class {common}"),
        "If balanced classes do not help, look at the outputs of ten samples: are they the same to the last digit?",
    )


def _entropy(counts: np.ndarray) -> np.ndarray:
    """Entropy in nats of each row of counts."""
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(-np.nansum(np.where(share > 0, share * np.log(share), 0.0), axis=1))


RULE = Rule(
    "prediction-collapse",
    "one class predicted for everything",
    "statistical",
    ("predicted.val.count", "target.val.count", "right.val.count", "val.size", "target.count"),
    titles(IMBALANCE),
    "Notes K16, C325; entropy under a tenth of the labels' over three evaluations.",
    check,
    {"entropy": 0.1, "prior": 0.95, "part": 0.2, "evaluations": 3},
    slow=True,
)
