"""rank-divergence."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found
from ..machine import ranks
from ..rule import Rule

WRAP = "Train one net on all ranks"
SAME = "Let every rank take the same steps"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The ranks of a data-parallel training do not have the same weights.

    Why it matters
        Each rank trains a net of its own on a part of the data, and rank 0, which is the one that is saved, has seen
        only its part. All curves look healthy.

    How it is decided
        Exact: a checksum of the weights of every rank at the same step. It is an error where they were equal and are no
        longer; where they never were, it is *watch*.

    When it is a false alarm
        Ranks that hold different parts of one model (sharded or tensor-parallel training) differ from the first step.

    What to do
        Wrap the model in DistributedDataParallel before the optimizer is made, change weights only by the optimizer,
        and clip or skip on all ranks or on none.
    """
    if not at.facts.get("distributed"):
        raise Abstain("training is not distributed")
    views = ranks(at, "weight.checksum")
    if len(views) < 2:
        raise Abstain("the weights of one rank only are known")
    shared = sorted(set.intersection(*({int(s) for s in view.steps[-2000:]} for view in views.values())))
    if not shared:
        raise Abstain("no step was measured on all ranks")
    rows = np.stack([view.scalar[np.searchsorted(view.steps, shared)] for view in views.values()], axis=1)
    unequal = np.flatnonzero((rows != rows[:, :1]).any(axis=1))
    if not len(unequal) or not (rows[-1] != rows[-1, 0]).any():
        return None
    first = int(unequal[0])
    step = int(shared[first])
    odd = [rank for rank, value in zip(views, rows[-1], strict=True) if value != rows[-1, 0]]
    before = f"they were equal until step {shared[first - 1]}" if first else "they were never equal"
    severity: Severity = "error" if first else "watch"
    return Found(
        severity,
        f"rank {', '.join(map(str, odd[:4]))} and rank 0 have different weights since step {step}",
        (f"checksums of the weights of {len(views)} ranks at the same steps; {before}",),
        step,
        (Evidence("weight.checksum", float(rows[-1].max()), float(rows[-1].min()), "of two ranks", step, at.step),),
        (
            Remedy(WRAP, "model → DistributedDataParallel(model), before the optimizer is made", "checksums agree"),
            Remedy(SAME, "steps, clips and skips of each rank's own → the same on all ranks", "checksums agree"),
        ),
        f"If the model is wrapped, look at what the script did at step {step} on one rank only.",
        exact=True,
    )


RULE = Rule(
    "rank-divergence",
    "ranks train different nets",
    "invariant",
    ("weight.checksum",),
    (WRAP, SAME),
    "Exact; TrainCheck (OSDI 2025) finds it by the same invariant.",
    check,
    votes=(1, 1),
)
