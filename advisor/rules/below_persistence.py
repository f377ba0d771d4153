"""below-persistence."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..passes import means
from ..rule import Rule
from ..window import median, noise

DIFFERENCE = "Predict the change"
SCALE = "Scale each window by its own level"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The forecast is worse than repeating the last value of the input.

    Why it matters
        For most series "as it was" is hard to beat and costs nothing. A curve that follows the series one step late
        looks like a good forecast on a plot.

    How it is decided
        Mechanism: in three evaluations, after a fifth of the run, the validation loss is over that of repeating the
        last value, by three times its scatter. Outcome: the training loss is over its own persistence too and no
        longer falls, or the run is over.

    When it is a false alarm
        A series whose last value is all there is to know (a random walk) cannot be beaten by anybody.

    What to do
        Let the net predict the difference to the last value: it then starts at persistence and can only gain. Scale
        windows by their own mean, and look whether input and target windows are shifted against each other.
    """
    if at.step < at.track.segment.first_step + max(at.warmup, limit["part"] * at.horizon):
        raise Abstain("too early: the first fifth of the run may be worse than persistence")
    count = int(limit["evaluations"])
    persistence = means(at, "loss.val.persistence", count)
    ev = at.evaluations
    if len(persistence.steps) < count or len(ev.loss) < count:
        raise Abstain(f"it needs {count} evaluations")
    reference = float(np.median(persistence.values[:, 0]))
    best, scatter = float(np.min(ev.loss[-count:])), float(np.nan_to_num(noise(ev.loss[-12:])))
    if not best > reference + limit["errors"] * scatter:
        return None
    worse = float(ev.loss[-1]) / reference - 1
    keys = [f"the best of the last {count} evaluations is {number(best)}, repeating the last value {number(reference)}"]
    train = median(at.view("loss.persistence").last(50).scalar) if at.has("loss.persistence") else reference
    if at.over:
        keys.append("the run is over")
    elif at.recent_loss() > train and not at.falling:
        keys.append(f"the training loss stays at {number(at.recent_loss())}, over its own persistence {number(train)}")
    expect = f"the validation loss is under {number(reference)}"
    return Found(
        "warn",
        f"val loss {number(float(ev.loss[-1]))}, {percent(worse)} over that of repeating the last value, "
        f"{number(reference)}",
        tuple(keys),
        int(ev.steps[-count]),
        (Evidence("loss.val", float(ev.loss[-1]), reference, "against persistence", int(ev.steps[-count]), at.step),),
        (
            Remedy(DIFFERENCE, "target y[t+1] → y[t+1] - y[t], added back in the end", expect),
            Remedy(SCALE, "one scale for the whole series → each window less its mean, over its deviation", expect),
        ),
        "If it stays behind, compare with a linear model on the same windows: a net must beat that first.",
    )  # fmt: skip


RULE = Rule(
    "below-persistence",
    "worse than repeating the last value",
    "statistical",
    ("loss.val.persistence", "loss.val", "loss.persistence", "loss.train"),
    (DIFFERENCE, SCALE),
    "Persistence is the usual baseline of forecasting (Hyndman and Athanasopoulos, 5.2).",
    check,
    {"part": 0.2, "evaluations": 3, "errors": 3},
    slow=True,
)
