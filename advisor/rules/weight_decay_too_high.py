"""weight-decay-too-high."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..place import of_optimizer
from ..rule import Rule
from ..window import block_medians, finite, median, medians, trend

LESS = "Lower the weight decay"
SPARE = "Spare norms and biases"
USUAL = {"AdamW": 0.1}
"""The most that is usual, by optimizer; 5e-4 where the decay is added to the gradient. A tenth alone left three of four
nets short of their clean twins (decays of 1 to 30), this repaired all four."""


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The weight decay pulls the weights to zero faster than the gradient can build them up.

    Why it matters
        The net forgets as fast as it learns; in the end it outputs a constant.

    How it is decided
        Mechanism: with a weight decay in use, the norm of a typical weight matrix is under half of what it was at the
        start. Outcome: the loss has not left its first value, or is half as much again over its best and has lost a
        fifth of what it had gained; or, with a tenth of the norm left, the predictions of different samples, or the
        outputs of the last activation, differ by a thirtieth of what they did; or, with a third of the matrices under
        a hundredth of their first norm, the loss has not fallen in the second half of all steps so far and is over a
        twentieth of its first value. Without the outcome nothing is said: a net whose large first weights shrink while
        it learns is in order.

    When it is a false alarm
        Layers in front of a normalisation may shrink without harm; with an outcome they are rarely alone.

    What to do
        A tenth of it (AdamW: 0.01 to 0.1; Adam and SGD: 1e-4 to 5e-4), none for biases and norms.
    """
    decay = max((float(o.get("weight_decay") or 0) for o in at.facts.get("optimizers") or ()), default=0.0)
    if not decay:
        raise Abstain("no weight decay is in use")
    if at.step < max(60, at.warmup):
        raise Abstain("too early: the weights have hardly moved")
    view = at.view("weight.norm")
    first, now = view.values[0, at.matrices], view.values[-1, at.matrices]
    ratios = np.where(first > 0, now / np.maximum(first, 1e-30), np.nan)
    known = ratios[np.isfinite(ratios)]
    typical = float(medians(known)) if len(known) else math.nan
    if not at.undercuts(typical, limit["shrunk"]):
        return None
    empty = float(np.mean(known < limit["nothing"]))
    outcome = at.loss_key() or at.risen(limit["worse"]) or (_alike(at, limit) if typical < limit["gone"] else None)
    if outcome is None and empty >= limit["empty"]:
        outcome = _stands(at, limit)
    if outcome is None:
        return None
    severity: Severity = "error" if typical < limit["gone"] or empty >= limit["empty"] else "warn"
    new = min(decay / 10, USUAL.get(str(at.optimizer.get("class")), 5e-4))
    return Found(
        severity,
        f"the weights have shrunk to {percent(typical)} of their first size at weight_decay {number(decay)}",
        (
            f"a typical weight matrix has {percent(typical)} of the norm it began with",
            *([f"{percent(empty)} of the matrices have next to nothing left"] if empty >= limit["empty"] else []),
            outcome,
        ),
        at.track.segment.first_step + 1,
        (Evidence("weight.norm", typical, limit["shrunk"], "typical norm against the first", 1, at.step),),
        (
            Remedy(LESS, f"weight_decay {number(decay)} → {number(new)}{of_optimizer(at)}",
                   "the typical weight norm stays over half of its first value and the loss falls"),
            Remedy(SPARE, "one parameter group → biases and norms in a group with weight_decay=0",
                   "their norms stay as they are"),
        ),
        "If the weights shrink without a decay, a term of the loss pulls them: look for an L2 penalty of one's own.",
    )  # fmt: skip


def _alike(at: Context, limit: Mapping[str, float]) -> str | None:
    """Next to nothing is left of how predictions, or outputs of a layer, differed."""
    for metric, what in (("output.spread", "the predictions of different samples differ"), ("act.std", "outputs vary")):
        if not at.has(metric):
            continue
        values = at.view(metric).thin(100).values[:, -1]
        now, most = median(values[-3:]), float(np.max(finite(values), initial=0.0))
        if now < limit["alike"] * most:
            return f"{what} by {number(now)}; it was {number(most)}"
    return None


def _stands(at: Context, limit: Mapping[str, float]) -> str | None:
    """The loss is far from zero and has not fallen in the second half of all steps so far."""
    first = at.track.segment.first_step
    half = (first + at.step) // 2
    losses = at.loss.since(half).scalar
    if at.step - first < max(at.patience, limit["steps"]) or trend(block_medians(losses)) < -1.64:
        return None
    now = median(losses)
    return f"the loss has stood at {number(now)} since step {half}" if now > limit["far"] * at.first_loss else None


RULE = Rule(
    "weight-decay-too-high",
    "weight decay too high",
    "statistical",
    ("weight.norm", "update.ratio", "output.spread", "act.std", "loss.train"),
    (LESS, SPARE),
    "Notes T33, C323 (its L2 of 1.0 is another implementation's).",
    check,
    {
        "shrunk": 0.5,
        "gone": 0.1,
        "worse": 1.5,
        "alike": 0.03,
        "nothing": 0.01,
        "empty": 0.33,
        "far": 0.05,
        "steps": 120,
    },
    goal=True,
)
