"""fp16-underflow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..rule import Rule
from ..window import column_medians, median

SCALE = "Scale the loss"
BFLOAT = "Train in bfloat16"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Gradients are too small for float16 and become zero.

    Why it matters
        float16 ends at 6e-8: smaller gradients are exactly 0, first in the layers furthest from the loss. These stop
        learning, without a NaN and without a message.

    How it is decided
        In half precision (of the weights, or by casts in autograd's graph) with no gradient scaler, or one whose scale
        is under 16; or where backward() is called on less than 1e-5 of the loss. Mechanism: over half of the elements
        of the gradient are exactly zero in half of the weight matrices, where no layer is dead. Outcome: the loss has
        not left its first value. A scaler that began under 1 and has skipped no step makes gradients smaller still: an
        eighth of them zero is then *warn*, whatever the loss does.

    When it is a false alarm
        Dead units, rows of an embedding that did not occur and inputs that are always zero have zero gradients as well:
        hence the outcome, without which it is *watch*. bfloat16 does not underflow like this.

    What to do
        torch.amp.GradScaler, or bfloat16.
    """
    if not (at.amp or at.facts.get("precision") == "float16" or _cast(at) or _scaled_down(at, limit)):
        raise Abstain("no half precision is in use")
    if at.has("amp.scale") and float(at.view("amp.scale").scalar[-1]) >= limit["scale"]:
        return None
    view = at.late(at.view("grad.zeros")).last(20)
    columns = at.weights(view)
    if len(view.steps) < limit["samples"] or not columns:
        raise Abstain("it needs two sampled steps of weight matrices")
    shrunk = _shrunk(at)
    if at.dead[0] >= limit["zeros"] and not shrunk:
        return None
    shares = np.nan_to_num(column_medians(view.values[:, columns]))
    share = float(np.median(shares))
    if not at.exceeds(share, limit["some"] if shrunk else limit["zeros"]):
        return None
    worst = view.names[columns[int(np.argmax(shares))]]
    keys = [f"{percent(share)} of the gradient is exactly zero in half of the weight matrices"]
    severity: Severity = "watch"
    if shrunk:
        keys.append(shrunk)
        severity = "warn"
    outcome = at.loss_key()
    if outcome:
        keys.append(outcome)
        severity = "error"
    scaler = "no GradScaler" if not at.has("amp.scale") else f"scale {number(float(at.view('amp.scale').scalar[-1]))}"
    expect = f"under 10 % of the gradient of {worst} is zero"
    return Found(
        severity,
        f"{percent(share)} of the gradient is zero in half precision with {scaler} (worst {worst})",
        tuple(keys),
        int(view.steps[0]),
        (Evidence("grad.zeros", share, limit["zeros"], "median over matrices", int(view.steps[0]), at.step, worst),),
        (
            Remedy(SCALE, f"{scaler} → torch.amp.GradScaler(): scale(loss).backward(), step(optimizer), update()",
                   expect),
            Remedy(BFLOAT, "float16 → bfloat16", expect),
        ),
        "If the zeros stay in float32, they are no underflow: look for dead layers and constant inputs.",
        layer=worst,
    )  # fmt: skip


def _shrunk(at: Context) -> str | None:
    """A scaler that makes the gradient smaller, and by no step that it had to skip."""
    if not at.has("amp.scale"):
        return None
    first = float(at.view("amp.scale").scalar[0])
    skipped = at.has("step.skipped") and np.nansum(at.view("step.skipped").scalar) > 0
    return f"the scale began at {number(first)}, and no step was skipped" if first < 1 and not skipped else None


def _cast(at: Context) -> bool:
    """Operations in front of the loss change the type of the numbers, and change it back: autocast does so."""
    before = (at.facts.get("loss.graph") or {}).get("before") or ()
    return sum("ToCopy" in str(node) for node in before) > 1


def _scaled_down(at: Context, limit: Mapping[str, float]) -> bool:
    """backward() is called on next to nothing of the loss: what is rounded to half precision by hand is then zero."""
    if not at.has("loss.root"):
        return False
    root, loss = median(at.view("loss.root").last(50).scalar), median(at.loss.last(50).scalar)
    return 0 < root < limit["tiny"] * loss


RULE = Rule(
    "fp16-underflow",
    "gradients underflow in half precision",
    "statistical",
    ("grad.zeros", "amp.scale", "step.skipped", "act.dead", "loss.train", "loss.root"),
    (SCALE, BFLOAT),
    "Smallest number of float16: 6e-8; Micikevicius et al. 2018 for the scaling.",
    check,
    {"scale": 16, "samples": 2, "zeros": 0.5, "some": 0.125, "tiny": 1e-5},
)
