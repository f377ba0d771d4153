"""goal-reached."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy
from nnwatch.metric import describe

from ..changes import restore
from ..context import Context
from ..finding import Abstain, Found, number
from ..rule import Rule
from ..window import median

STOP = "Stop, and keep these weights"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """A metric has reached the goal that was set for it.

    Why it matters
        There is nothing left to tune for this goal; further steps can only make it worse on other data.

    How it is decided
        The targets in nnwatch.toml, a value for each of some metrics. A validation metric counts by its last
        evaluation, another by the median of its last 20 records. Lower or higher: as the metric is declared; for one of
        the user's own, whichever way leads from its first value to the goal.

    When it is a false alarm
        A goal that is too easy, or a training metric where a validation metric was meant.

    What to do
        Keep this checkpoint. Whether the goal holds shows on data that were used for nothing else.
    """
    if not at.targets:
        raise Abstain("no target is set in nnwatch.toml")
    values = {metric: _value(at, metric) for metric in at.targets}
    if all(now is None for _, now in values.values()):
        raise Abstain("none of the targets' metrics is measured (yet)")
    reached = []
    for metric, goal in at.targets.items():
        first, now = values[metric]
        if now is None or first is None:
            continue
        better = describe(metric).better or ("low" if first > goal else "high")
        if now <= goal if better == "low" else now >= goal:
            reached.append((metric, goal, now))
    if not reached:
        return None
    said = ", ".join(f"{metric} {number(now)} (goal {number(goal)})" for metric, goal, now in reached)
    return Found(
        "info",
        f"goal reached: {said}",
        tuple(f"{metric} is {number(now)}, {number(goal)} was the goal" for metric, goal, now in reached),
        at.step,
        tuple(Evidence(metric, now, goal, "against the goal", at.step, at.step) for metric, goal, now in reached),
        (
            Remedy(
                STOP, f"{at.horizon - at.step:,} more steps → {restore(at, at.step)}", "the goal holds on other data"
            ),
        ),
        "If it is lost again, the checkpoint of this step is the better one.",
        exact=True,
    )


def _value(at: Context, metric: str) -> tuple[float | None, float | None]:
    """Its first value and the newest, None where not measured."""
    ev = at.evaluations
    column = {"loss.val": ev.loss, "accuracy.val": ev.accuracy}.get(metric)
    if column is not None:
        known = column[np.isfinite(column)]
        return (float(known[0]), float(known[-1])) if len(known) else (None, None)
    if not at.has(metric):
        return None, None
    values = at.view(metric).scalar
    now = median(values[-20:]) if not metric.startswith("user.") else float(values[-1])
    return float(values[0]), now if math.isfinite(now) else None


RULE = Rule(
    "goal-reached",
    "the goal is reached",
    "fact",
    ("loss.val", "accuracy.val", "loss.train"),
    (STOP,),
    "Note C132 (both meet the target: nothing to tune).",
    check,
    votes=(1, 1),
)
