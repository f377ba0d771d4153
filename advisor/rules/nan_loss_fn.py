"""nan-loss-fn."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Remedy

from ..context import Context
from ..finding import Found, number
from ..nonfinite import GIVEN, growth, last_finite, onset, restart
from ..rule import Rule

EPSILON = "Keep the operation inside its domain"
PRECISION = "Run the operation in a wider type"
WATCH = "Look at that batch"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Finite data and finite weights went in; a layer or the loss function made NaN or infinity of them.

    Why it matters
        The gradient of such a loss is NaN in every weight: the run is dead after the next step.

    How it is decided
        The batch of the first non-finite loss is run again with the weights as they were: the first operation with
        finite input and non-finite output is the place. If loss, gradient or updates had grown before, the cause is
        divergence, and that is said instead. Without such a re-run, only the step is known, and the text says so. Or:
        at 20 steps in a row backward() was called on NaN, while the loss function gave a number.

    When it is a false alarm
        A gradient scaler that looks for its scale makes infinite gradients on purpose; they are not counted.

    What to do
        log, sqrt and division need their argument kept away from 0 (add 1e-8, or clamp), exp from above; in half
        precision run the operation in float32, or train in bfloat16.
    """
    first = onset(at)
    if first is None:
        return _sum(at, limit)
    if first.origin in GIVEN | {"backward", "overflow", "optimizer"}:
        return None
    if growth(at, first.step) is not None:
        return None
    known = first.origin in ("forward", "loss")
    place = first.data.get("layer") or first.data.get("op") or ("the loss function" if first.origin == "loss" else None)
    detail = f" ({first.data['detail']})" if first.data.get("detail") else ""
    if known:
        what = f"{place or 'a layer'} made the first number that is not finite at {first.when}{detail}"
        why = "its input was finite, its output was not"
    else:
        what = f"the loss of step {first.step} is not finite; where that began is not known"
        why = "neither loss nor gradient had grown before, so the learning rate is not the likely cause"
    half = (Remedy(PRECISION, "half precision → float32 for this operation, or bfloat16", restart(at, first.step)),)
    return Found(
        "fatal",
        what,
        (why,),
        first.step,
        (last_finite(at, first.step),),
        (
            Remedy(EPSILON, f"{place}{first.where} → its argument kept off 0, such as torch.log(x + 1e-8)" if place
                   else "log, sqrt or division → its argument kept off 0, such as x + 1e-8", restart(at, first.step)),
            *(half if at.amp else ()),
            Remedy(WATCH, f"nothing kept → the batch of step {first.step} saved and run alone",
                   "the same operation fails again, or the batch is not the cause"),
        ),
        "If no operation can be blamed, divide the learning rate by ten and clip the gradient at 1.0.",
        layer=first.data.get("layer"),
        title="NaN from the loss function" if first.origin == "loss" else None,
        exact=True,
    )  # fmt: skip


def _sum(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The loss function gives numbers, and what is added to it by hand none: the derivative may go round them (that of
    a clamp is zero beyond its limit), so that the net trains on while nobody can see how well."""
    if not (at.has("loss.root") and at.has("loss.train")):
        return None
    root, losses = at.view("loss.root"), at.loss.last(int(limit["steps"]))
    newest = root.last(int(limit["steps"]))
    none = len(newest.steps) == limit["steps"] and bool(np.isnan(newest.scalar).all())
    if not none or at.batch_size is None or not np.isfinite(losses.scalar).all():
        return None
    known = np.flatnonzero(~np.isnan(root.scalar))
    step = int(root.steps[known[-1] + 1] if len(known) else root.steps[0])
    return Found(
        "error",
        f"backward() is called on NaN since step {step}; the loss function gives {number(float(losses.scalar[-1]))}",
        (f"so it was at each of the last {len(newest.steps)} steps: a term that is added by hand is no number",),
        step,
        (last_finite(at, at.step),),
        (
            Remedy(EPSILON, "log, sqrt or division in the added term → its argument kept off 0, such as x + 1e-8",
                   "loss.root is finite at every step"),
        ),
        "If the term is meant to end there, clamp its argument just inside: log(p.clamp(1e-6, 1 - 1e-6)).",
        title="a term of the loss is NaN",
        exact=True,
    )  # fmt: skip


RULE = Rule(
    "nan-loss-fn",
    "NaN in the forward pass",
    "invariant",
    ("loss.train", "loss.root", "grad.norm", "update.ratio"),
    (EPSILON, PRECISION, WATCH),
    "Notes D69-81 and C350-358; the order of looking (data, forward, backward, growth) is that of the autopsy.",
    check,
    {"steps": 20},
    votes=(1, 1),
)
