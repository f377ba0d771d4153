"""clip-too-low."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..rule import Rule
from ..window import median

LIMIT = "Raise the limit of the gradient norm"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Nearly every gradient is clipped, and by a large factor: the limit has become the learning rate.

    Why it matters
        With plain SGD every step then has the same length, whatever the gradient says, and it is far shorter than the
        rate that was chosen.

    How it is decided
        Mechanism: over 90 % of the sampled steps of a window are clipped, and the median norm is over ten times the
        limit. Outcome: the loss is still over 80 % of its first value. Adam divides by the gradient's size: there it is
        *info* at most, a limit of 1.0 is usual for language models.

    When it is a false alarm
        A limit that was chosen as a step length (normalised gradient descent).

    What to do
        Set the limit where nine of ten healthy steps pass.
    """
    norms, limits = at.view("grad.clip.norm").last(100), at.view("grad.clip.max").last(100)
    if len(norms.steps) < limit["samples"] or len(norms.steps) != len(limits.steps):
        raise Abstain("it needs 20 clipped steps")
    if at.step < max(60, at.warmup):
        raise Abstain("too early: the first gradients are large")
    ratio = norms.scalar / np.maximum(limits.scalar, 1e-12)
    clipped, typical = float(np.mean(ratio > 1)), median(ratio)
    if clipped < limit["share"] or not at.exceeds(typical, limit["factor"]):
        return None
    maximum, healthy = float(limits.scalar[-1]), float(np.nanquantile(norms.scalar, 0.9))
    keys = [f"{percent(clipped)} of the steps are clipped, the typical norm is {number(typical)} times the limit"]
    severity: Severity = "info" if "Adam" in str(at.optimizer.get("class")) else "watch"
    now, first = at.recent_loss(), at.initial_loss
    if severity == "watch" and at.exceeds(now, limit["slow"] * first):
        keys.append(f"the loss is {number(now)} after {at.step} steps, it began at {number(first)}")
        severity = "warn"
    return Found(
        severity,
        f"clipping at {number(maximum)} cuts {percent(clipped)} of the steps, by a factor of {number(typical)}",
        tuple(keys),
        int(norms.steps[0]),
        (Evidence("grad.clip.norm", median(norms.scalar), maximum, "typical norm against the limit",
                  int(norms.steps[0]), at.step),),
        (Remedy(LIMIT, f"max_norm {number(maximum)} → {number(healthy)}",
                "under 20 % of the steps are clipped and the loss falls faster"),),
        "If the loss then swings, keep the limit and raise nothing: the short steps were what kept it stable.",
    )  # fmt: skip


RULE = Rule(
    "clip-too-low",
    "the gradient is clipped nearly always",
    "statistical",
    ("grad.clip.norm", "grad.clip.max", "loss.train"),
    (LIMIT,),
    "Notes D71 and C234 (5 to 15 for recurrent nets).",
    check,
    {"samples": 20, "share": 0.9, "factor": 10, "slow": 0.8},
    goal=True,
)
