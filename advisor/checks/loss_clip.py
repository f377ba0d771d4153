"""loss-clip."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import Abstain, percent
from ..place import of_loss
from ..script import operations
from ..trials import Trials

CLAMPS = ("Clamp", "ClampMin", "ClampMax", "Minimum", "Hardtanh")


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Whether the loss is cut off before backward().

    Why it matters
        Who wants to clip the gradient and clips the loss makes the net ignore what it gets wrong most.

    How it is decided
        The rule loss-clipped (a loss that is lower at backward() than the loss function gave, or samples that share
        the largest loss); a clamp between the two that did not cut anything yet is told.

    When it is a false alarm
        A lower bound (free bits) is meant.

    What to do
        Take the clamp away; clip_grad_norm_ before the step.
    """
    try:
        seen = at.by_rules(("loss-clipped",), "nothing cuts the loss off")
    except Abstain:
        seen = None
    if seen is not None and seen.state != "pass":
        return seen
    found = [name for name in operations(at, "after") if name in CLAMPS]
    if not found:
        return Verdict("pass", "nothing stands between the loss and backward() that cuts it off")
    return Verdict(
        "info",
        f"a {found[0].lower()} stands between the loss and backward(); it cut {percent(0)} so far",
        0.0,
        0.0,
        f"the clamp{of_loss(at)} → clip_grad_norm_(parameters, 1.0)",
        "backward() gets what the loss function gave",
    )


CHECK = Check("loss-clip", "a loss that is not cut off", "Note K8.", judge)
