"""adam-epsilon."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number
from ..place import of_optimizer
from ..rule import Rule
from ..window import Numbers, column_medians, median, medians

SMALLER = "Lower Adam's eps"
SCALE = "Scale the loss up"
USUAL = 1e-8
"""PyTorch's own eps."""


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The gradients are as small as Adam's eps, which then decides how long the steps are.

    Why it matters
        Adam divides each gradient by its own size plus eps. Where eps is the larger one, the steps shrink with the
        gradient as in plain SGD, and layers with small gradients stand still.

    How it is decided
        Mechanism: the median of sqrt(v) over eps of half of the weight matrices is under 10 (*watch*). Outcome: it is
        under 1, and the loss has not left its first value (*warn*). Matrices without any gradient are not counted. Of
        an eps over 1e-6, which somebody chose: it is under 1, so that Adam's steps are shorter than its rate says, and
        in the second half of the plan the typical weight matrix would move by under half of its size in the whole run,
        while over 2 % of the first loss is left (*warn*).

    When it is a false alarm
        A large eps that was chosen to calm Adam down (1e-4 and more is usual for some image and RL recipes) goes with a
        rate that was raised to match: the weights then move, and nothing is said.

    What to do
        eps = 1e-15 in float32; or a loss that is not scaled to almost nothing.
    """
    eps = at.optimizer.get("eps")
    if eps is None or "Adam" not in str(at.optimizer.get("class")):
        raise Abstain("Adam is not in use")
    view = at.late(at.view("adam.eps.ratio")).last(10)
    columns = at.weights(view)
    if len(view.steps) < limit["samples"] or not columns or at.step < at.warmup:
        raise Abstain("it needs two sampled steps after the warm-up")
    typical, smallest = at.once(
        f"Adam's eps, {len(view.steps)} records", ("adam.eps.ratio",), lambda: _typical(view.values[:, columns])
    )
    chosen = float(eps) > limit["chosen"]
    if smallest is None or not at.undercuts(typical, limit["under" if chosen else "near"]):
        return None
    least = view.names[columns[smallest]]
    slow = _slow(at, limit) if chosen else None
    if chosen and slow is None:
        return None
    keys = [f"the typical sqrt(v) is {number(typical)} times eps"]
    severity: Severity = "watch"
    outcome = at.loss_key()
    if chosen and slow:
        keys.append(slow)
        severity = "warn"
    elif outcome and at.undercuts(typical, limit["under"]):
        keys.append(outcome)
        severity = "warn"
    new = USUAL if chosen else 10.0 ** math.floor(math.log10(max(float(eps) * typical * 1e-3, 1e-16)))
    expect = "sqrt(v) is over 100 times eps in every layer"
    return Found(
        severity,
        f"gradients are {number(typical)} times eps ({number(float(eps))}); smallest in {least}",
        tuple(keys),
        at.track.segment.first_step + 1 if chosen else int(view.steps[0]),
        (
            Evidence(
                "adam.eps.ratio", typical, limit["near"], "median over matrices", int(view.steps[0]), at.step, least
            ),
        ),
        (
            Remedy(SMALLER, f"eps {number(float(eps))} → {number(max(new, 1e-15))}{of_optimizer(at)}", expect),
            Remedy(SCALE, f"the loss → the loss times {number(100 / typical)}", expect),
        ),
        "If the gradients are that small because nothing is left to learn, stop here.",
        layer=least,
    )


def _slow(at: Context, limit: Mapping[str, float]) -> str | None:
    """The weights cannot get anywhere at this pace, and much of the loss is left."""
    age = at.step - at.track.segment.first_step
    if age < max(60, 0.5 * at.horizon) or not at.has("update.ratio"):
        return None
    pace = median(at.ratios(at.late(at.view("update.ratio")).thin(100)).ravel())
    reach, now, first = pace * at.horizon, at.recent_loss(), at.first_loss
    if not at.undercuts(reach, limit["reach"]) or 0 <= now < limit["left"] * first:
        return None
    return f"a step moves the weights by {number(pace)} of their size, and the loss is {number(now)} of {number(first)}"


def _typical(values: Numbers) -> tuple[float, int | None]:
    """Median over the matrices that have a gradient, and the column of the smallest; None where none has."""
    ratios = column_medians(values)
    known = np.flatnonzero(ratios > 0)
    if not len(known):
        return math.nan, None
    return float(medians(ratios[known])), int(known[int(np.argmin(ratios[known]))])


RULE = Rule(
    "adam-epsilon",
    "Adam's eps is as large as the gradients",
    "statistical",
    ("adam.eps.ratio", "update.ratio", "loss.train"),
    (SMALLER, SCALE),
    "Wortsman et al. 2023 (small-scale proxies for large-scale instabilities).",
    check,
    {"near": 10, "under": 1, "samples": 2, "chosen": 1e-6, "reach": 0.5, "left": 0.02},
)
