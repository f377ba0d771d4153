"""missing-zero-grad."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..finding import Abstain, Found, number
from ..place import of, of_loss, of_optimizer
from ..rule import Rule

ZERO = "Clear the gradients before each backward pass"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The gradients of earlier steps are still there when the next one is added to them.

    Why it matters
        Every step then follows the sum of all gradients so far: the step grows with the step count, old batches never
        leave, and the loss swings or runs away as with a learning rate that is far too high.

    How it is decided
        Exact: at the first backward pass after a step, the gradient is not zero yet, at every step that was looked at.
        Accumulation on purpose is no case of it: it clears after each optimizer step, not after each backward pass.

    When it is a false alarm
        Optimizers that use up the old gradients themselves. With two optimizers (GAN) the gradients of the other net
        are left over on purpose: not judged.

    What to do
        optimizer.zero_grad() once per optimizer step: before loss.backward(), or right after optimizer.step().
    """
    if at.multi_opt:
        raise Abstain("two optimizers step in turn: the gradients of the other net are left over on purpose")
    known = at.view("grad.stale").since(at.track.segment.first_step + 2)  # before the first step none is left over
    if at.broken:
        known = known.before(int(at.not_finite[0]))  # what numbers that are none leave behind refutes nothing
    steps, stale = known.last(20).steps, known.last(20).scalar
    if len(stale) < limit["samples"]:
        raise Abstain(f"it needs {limit['samples']:.0f} records of grad.stale")
    if not np.all(stale > 0):
        return None
    place = of(at, "backward") or of_loss(at) or of_optimizer(at)
    sizes = [f"{number(float(stale[0]))} at step {steps[0]}", f"{number(float(stale[-1]))} at step {steps[-1]}"]
    return Found(
        "error",
        f"zero_grad is not called: a gradient of norm {number(float(stale[-1]))} was left over at step {steps[-1]}",
        (f"at each of the last {len(stale)} steps looked at, the old gradient was still there: {', '.join(sizes)}",),
        int(at.view("grad.stale").steps[0]),
        (Evidence("grad.stale", float(np.median(stale)), 0.0, "gradient left over", int(steps[0]), at.step),),
        (
            Remedy(ZERO, f"loss.backward() → optimizer.zero_grad(); loss.backward(){place}",
                   "the gradient left over is 0 at every step"),
        ),
        "If zero_grad is called, it is on another optimizer, or between backward() and step().",
        exact=True,
    )  # fmt: skip


RULE = Rule(
    "missing-zero-grad",
    "zero_grad is missing",
    "invariant",
    ("grad.stale",),
    (ZERO,),
    "Exact; the first of the notes' and of Karpathy's common mistakes.",
    check,
    {"samples": 3},
    votes=(1, 1),
)
