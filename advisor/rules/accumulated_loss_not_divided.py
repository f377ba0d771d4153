"""accumulated-loss-not-divided."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number
from ..learning_rate import rounded
from ..place import of_optimizer
from ..rule import Rule
from ..window import median

DIVIDE = "Divide the loss by the number of micro-batches"
RATE = "Or divide the learning rate by it"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The gradients of several micro-batches are summed, where their mean was meant.

    Why it matters
        The gradient is as many times too large as there are micro-batches, and so is the step of SGD; a clip limit
        and a weight decay mean something else than they say. Changing the accumulation then changes the training.

    How it is decided
        Exact: there are several backward passes to an optimizer step, and backward() is called on the loss function's
        own value (the number it is called on, over the loss: 1; the loss scale of mixed precision is taken out).
        For SGD it is *warn*; Adam divides by the gradient's own size, so there it is *info*.

    When it is a false alarm
        A loss summed over samples that is divided elsewhere; a learning rate that was chosen for the sum. Steps that
        sum several different losses are not judged.

    What to do
        (loss / accumulation).backward().
    """
    k = at.accumulation
    if k < 2:
        raise Abstain("there is one backward pass to a step")
    if at.no_goal or len(at.facts.get("loss_terms") or ()) > 1:
        raise Abstain("a step adds several losses")
    if (at.facts.get("loss") or {}).get("reduction") == "sum":
        raise Abstain("the loss is a sum over samples")
    if at.has("step.skipped") and np.nansum(at.view("step.skipped").last(50).scalar) > 0:
        raise Abstain("the gradient scaler skips steps: their backward passes are no accumulation")
    if at.step - at.track.segment.first_step < limit["steps"]:
        return None
    root, loss = median(at.view("loss.root").last(50).scalar), median(at.loss.last(50).scalar)
    scale = median(at.view("amp.scale").last(50).scalar) if at.has("amp.scale") else 1.0
    ratio = root / (scale * loss) if scale * loss > 0 else 0.0
    if not 1 - limit["tolerance"] < ratio < 1 + limit["tolerance"]:
        return None
    adaptive = "Adam" in str(at.optimizer.get("class"))
    severity: Severity = "info" if adaptive else "warn"
    remedies = [
        Remedy(DIVIDE, f"loss.backward() → (loss / {k}).backward()",
               f"the number that backward() is called on is 1/{k} of the loss"),
    ]  # fmt: skip
    if not adaptive and at.has("lr"):
        change = f"lr {number(at.lr)} → {number(rounded(at.lr / k))}{of_optimizer(at)}"
        remedies.append(Remedy(RATE, change, "the first updates are as large as without accumulation"))
    return Found(
        severity,
        f"{k} micro-batches are summed: each step is {k} times that of their mean",
        (f"backward() is called {k} times a step on the whole loss ({number(ratio)} of it; 1/{k} is meant)",),
        at.track.segment.first_step + 1,
        (Evidence("loss.root", ratio, 1 / k, "what backward() was called on, over the loss", 1, at.step),),
        tuple(remedies),
        "If the sum is meant, say so by a learning rate chosen for it.",
        exact=True,
    )


RULE = Rule(
    "accumulated-loss-not-divided",
    "accumulated gradients are not averaged",
    "invariant",
    ("loss.root", "loss.train", "amp.scale", "step.skipped", "lr"),
    (DIVIDE, RATE),
    "Exact: the number that backward() was called on.",
    check,
    {"steps": 10, "tolerance": 0.1},
    votes=(1, 1),
)
