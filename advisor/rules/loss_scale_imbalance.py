"""loss-scale-imbalance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number
from ..rule import Rule
from ..window import View, median

BALANCE = "Weigh the terms alike"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """One term of the loss is so large that the others do not count.

    Why it matters
        The gradient follows the large term. A task whose term is a thousandth of the sum is not trained at all, and the
        sum, which is what everybody looks at, falls nicely.

    How it is decided
        Mechanism: what each term contributes to the number backward() is called on (its weight in the sum is found by
        least squares over the newest window) differs by over 100 times. Outcome: after a fifth of the run the small
        term has not fallen by a tenth while the large one has. The first alone is *watch* from 1,000 times on.

    When it is a false alarm
        A regulariser is small on purpose, and one that needs no training. Terms of several optimizers (a GAN) are not
        compared.

    What to do
        Multiply the small term so that both contribute about alike, or let the gradients set the weights (GradNorm,
        uncertainty weighting).
    """
    if at.multi_opt:
        raise Abstain("several optimizers have a loss each")
    if at.step < at.track.segment.first_step + max(at.warmup, limit["after"], limit["part"] * at.horizon):
        raise Abstain("too early to compare the terms")
    terms = at.view("loss.term")
    if terms.values.shape[1] < 2:
        raise Abstain("the loss has one term")
    parts, weights = _contributions(at, at.window(terms))
    large, small = int(np.argmax(parts)), int(np.argmin(parts))
    ratio = float(parts[large] / max(parts[small], 1e-12))
    if not at.exceeds(ratio, limit["ratio"]):
        return None
    name, other = terms.names[small], terms.names[large]
    stuck, fell = _now(terms, small), _now(terms, large)
    keys = [f"{other} contributes {number(float(parts[large]))} to the sum, {name} {number(float(parts[small]))}"]
    severity: Severity = "watch"
    if stuck > 0.9 and fell < 0.9:
        severity = "warn"
        keys.append(f"{name} is at {number(stuck)} of its first value, {other} at {number(fell)}")
    elif not at.exceeds(ratio, limit["alone"]):
        return None
    new = float(weights[small]) * ratio
    return Found(
        severity,
        f"{other} counts {number(ratio)} times as much as {name}",
        tuple(keys),
        int(terms.steps[0]),
        (Evidence("loss.term", ratio, limit["ratio"], f"{other} over {name}, weighted", 0, at.step, name),),
        (
            Remedy(
                BALANCE,
                f"weight of {name} {number(float(weights[small]))} → {number(new)}",
                f"{name} falls under {number(0.9 * _first(terms, small))}",
            ),
        ),
        "If the small term then rules, halve its weight until both fall.",
        layer=name,
    )


def _contributions(at: Context, terms: View) -> tuple[np.ndarray, np.ndarray]:
    """Weight times size of each term (m,), and the weights (m,). Raises Abstain where the sum is not of that form."""
    root = at.window(at.view("loss.root"))
    shared = np.intersect1d(root.steps, terms.steps)
    x = terms.values[np.searchsorted(terms.steps, shared)].astype(np.float64)
    y = root.scalar[np.searchsorted(root.steps, shared)].astype(np.float64)
    known = np.isfinite(x).all(axis=1) & np.isfinite(y)
    if known.sum() < 10 * x.shape[1]:
        raise Abstain("too few steps with all terms")
    scale = np.maximum(np.abs(x[known]).mean(axis=0), 1e-12)
    weights = np.linalg.lstsq(x[known] / scale, y[known], rcond=None)[0] / scale
    left = y[known] - x[known] @ weights
    if float(np.std(left)) > 0.02 * float(np.mean(np.abs(y[known]))) or (weights <= 0).any():
        raise Abstain("the sum is not a weighted sum of these terms")
    return weights * scale, weights


def _first(terms: View, column: int) -> float:
    return median(terms.values[:20, column])


def _now(terms: View, column: int) -> float:
    """The newest values over the first ones."""
    return median(terms.values[-50:, column]) / max(abs(_first(terms, column)), 1e-12)


RULE = Rule(
    "loss-scale-imbalance",
    "one term of the loss drowns the others",
    "statistical",
    ("loss.term", "loss.root"),
    (BALANCE,),
    "Notes C70, D70; over 30 times was seen on two tasks that both trained.",
    check,
    {"ratio": 100, "alone": 1000, "after": 60, "part": 0.2},
)
