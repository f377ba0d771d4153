"""val-noise."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..passes import dense
from ..rule import Rule

MORE = "Evaluate on more samples"
SEEDS = "Compare several seeds"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The last changes of the validation accuracy are smaller than its own noise.

    Why it matters
        Whoever picks the best of ten such evaluations picks luck, and so does whoever compares two runs by them.

    How it is decided
        The standard error of an accuracy of p on n samples is the root of p (1 - p) / n. It is told, as a fact, where
        it is over one point and the last five changes of the accuracy go up and down and stay under two of it, after
        half of the run.

    When it is a false alarm
        On the same samples each time, smaller differences than this mean something: a paired test finds them.

    What to do
        Evaluate on more samples, average over the last evaluations, or compare the means of three seeds or more.
    """
    if not at.facts.get("classes") or dense(at):
        raise Abstain("no classification of whole samples")
    if at.step < at.track.segment.first_step + max(at.warmup, limit["part"] * at.horizon):
        raise Abstain("too early: the accuracy still moves")
    ev = at.evaluations
    known = np.flatnonzero(np.isfinite(ev.accuracy))[-6:]
    if len(known) < 6:
        raise Abstain("it needs six evaluations with their accuracy")
    accuracy, n = ev.accuracy[known], float(ev.size[known[-1]])
    p = float(np.mean(accuracy))
    error = math.sqrt(max(p * (1 - p), 0.0) / n)
    changes = np.diff(accuracy)
    change, turns = float(np.max(np.abs(changes))), int(np.sum(changes[1:] * changes[:-1] < 0))
    if not at.exceeds(error, limit["error"]) or change > 2 * error or turns < 2:
        return None
    needed = math.ceil(p * (1 - p) / (0.5 * limit["error"]) ** 2 / 100) * 100
    return Found(
        "info",
        f"val accuracy {percent(p)} ± {number(200 * error)} points: the last five changes are within its noise",
        (f"on {n:,.0f} samples its standard error is {number(100 * error)} points, the largest change was "
         f"{number(100 * change)}",),
        int(ev.steps[known[0]]),
        (Evidence("accuracy.val", change, 2 * error, "largest of the last changes, against two errors", 0, at.step),),
        (
            Remedy(MORE, f"{n:,.0f} validation samples → {needed:,}", "a change of one point can be told from noise"),
            Remedy(SEEDS, "1 run → the mean of 3 seeds or more", "two settings differ by over two errors of the mean"),
        ),
        "If there are no more samples, use cross-validation.",
    )  # fmt: skip


RULE = Rule(
    "val-noise",
    "validation is too noisy to compare",
    "fact",
    ("accuracy.val", "val.size", "loss.val"),
    (MORE, SEEDS),
    "Notes K11 (evaluate on the full set), C248 (average several runs).",
    check,
    {"error": 0.01, "part": 0.5},
)
