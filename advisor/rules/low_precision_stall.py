"""low-precision-stall."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..place import of_optimizer
from ..rule import Rule
from ..window import column_medians

MASTER = "Keep the weights in float32"
ROUND = "Round at random, or carry the error"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The steps are smaller than the spacing of the weights' number type: they are rounded away.

    Why it matters
        bfloat16 keeps 8 bits: a change under 0.2 % of a weight leaves it exactly as it was. The optimizer believes
        that it moved; most of the net stands still, the more so the further the learning rate falls.

    How it is decided
        Exact: in weight matrices of a half-precision type, the share of elements that had a gradient and were not
        changed by the step, median over the last sampled steps and matrices. Over a half it is *watch*, over
        four fifths *warn*, and an error when the loss has not fallen.

    When it is a false alarm
        Optimizers that round at random or keep a compensation for each weight: the weights then move on average.

    What to do
        Keep float32 master weights (autocast does, model.to(bfloat16) does not).
    """
    if at.facts.get("precision") not in ("bfloat16", "float16"):
        raise Abstain("the weights are not kept in half precision")
    view = at.late(at.view("weight.unchanged")).last(20)
    columns = at.weights(view)
    if len(view.steps) < limit["samples"] or not columns:
        raise Abstain("it needs two sampled steps of weight matrices")
    shares = column_medians(view.values[:, columns])
    known = shares[np.isfinite(shares)]
    share = float(np.median(known)) if len(known) else 0.0
    if not at.exceeds(share, limit["some"]):
        return None
    worst = view.names[columns[int(np.nanargmax(shares))]]
    severity: Severity = "warn" if at.exceeds(share, limit["most"]) else "watch"
    keys = [f"{percent(share)} of the weights that had a gradient were left exactly as they were"]
    outcome = at.loss_key() if at.has("loss.train") else None
    if outcome and severity == "warn":
        severity = "error"
        keys.append(outcome)
    expect = "under 10 % of the weights with a gradient stay as they were"
    return Found(
        severity,
        f"{percent(share)} of the updates are lost in {at.facts['precision']} (worst {worst})",
        tuple(keys),
        int(view.steps[0]),
        (Evidence("weight.unchanged", share, limit["some"], "median over matrices and steps", int(view.steps[0]),
                  at.step, worst),),
        (
            Remedy(MASTER, f"model.to(torch.{at.facts['precision']}) → float32 weights with autocast{of_optimizer(at)}",
                   expect),
            Remedy(ROUND, "plain rounding → stochastic rounding or Kahan summation in the optimizer", expect),
        ),
        f"If the memory does not allow it, raise the learning rate above {number(2**-8)} of a weight per step.",
        layer=worst,
        exact=True,
    )  # fmt: skip


RULE = Rule(
    "low-precision-stall",
    "steps are lost in rounding",
    "invariant",
    ("weight.unchanged", "loss.train"),
    (MASTER, ROUND),
    "Measured: bfloat16 weights at a step of 3e-5 leave 88 % of the elements as they were.",
    check,
    {"samples": 2, "some": 0.5, "most": 0.8},
    votes=(2, 3),
)
