"""rank-divergence."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity
from nnwatch.series import Floats

from ..context import Context
from ..finding import Abstain, Found
from ..machine import ranks
from ..rule import Rule
from ..window import View

WRAP = "Train one net on all ranks"
SAME = "Let every rank take the same steps"
SHARE = "Give each rank its part of the data"
_RECORDS = 64
"""Newest records of samples that are compared."""


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The ranks of a data-parallel training do not have the same weights, or they all have the same samples.

    Why it matters
        With weights of its own each rank trains a net on a part of the data, and rank 0, which is the one that is
        saved, has seen only its part. With the samples of another it computes a gradient that is there already: the
        job takes many times the hardware for the result of one rank. All curves look healthy.

    How it is decided
        Exact: a checksum of the weights of every rank at the same step. It is an error where they were equal and are no
        longer; where they never were, it is *watch*. Where they are equal, fingerprints of the samples that enter the
        model: it is a warning when nine in ten of a rank's are another rank's of the same step, and hardly any occurs
        twice within a rank.

    When it is a false alarm
        Ranks that hold different parts of one model (sharded or tensor-parallel training) differ from the first step.
        Ranks that augment the same picture differently on purpose have different samples and are not reported.

    What to do
        Wrap the model in DistributedDataParallel before the optimizer is made, change weights only by the optimizer,
        and clip or skip on all ranks or on none. Give the loader a DistributedSampler.
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
    if not len(unequal):
        return _same_samples(at, limit)
    if not (rows[-1] != rows[-1, 0]).any():
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


def _same_samples(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Whether a rank has the samples of the lowest one, step by step. Rows of (records, samples), NaN where none."""
    views = ranks(at, "input.rows")
    for rank, view in list(views.items())[1:]:
        base = min(views)
        own = views[base]
        shared = np.intersect1d(own.steps, view.steps)[-_RECORDS:]
        pairs = [(_known(own, step), _known(view, step)) for step in shared]
        looked = sum(len(theirs) for _, theirs in pairs)
        alike = sum(int(np.isin(theirs, ours).sum()) for ours, theirs in pairs)
        distinct = len(np.unique(np.concatenate([theirs for _, theirs in pairs]))) if pairs else 0
        if looked < limit["least"] or distinct < limit["distinct"] * looked or alike < limit["alike"] * looked:
            continue
        return Found(
            "warn",
            f"ranks {base} and {rank} train on the same samples: {alike} of {looked} looked at are alike",
            (f"fingerprints of the inputs of both at {len(shared)} steps; their weights are equal, so are gradients",),
            int(shared[-1]),
            (Evidence("input.rows", float(alike), 0.0, f"of {looked} samples of both ranks", int(shared[0]), at.step),),
            (
                Remedy(
                    SHARE,
                    "DataLoader(..., shuffle=True) → DataLoader(..., sampler=DistributedSampler(dataset)), with "
                    "sampler.set_epoch(epoch) before each epoch",
                    "ranks have different samples, and an epoch has fewer steps",
                ),
            ),
            "If a sampler is there, look at the number of ranks and the rank that it was given.",
            exact=True,
        )
    return None


def _known(view: View, step: int) -> Floats:
    values: Floats = view.values[int(np.searchsorted(view.steps, step))]
    return values[np.isfinite(values)]


RULE = Rule(
    "rank-divergence",
    "ranks train different nets, or one and the same part",
    "invariant",
    ("weight.checksum",),
    (WRAP, SAME, SHARE),
    "Exact; TrainCheck (OSDI 2025) finds it by the same invariant.",
    check,
    {"least": 24, "distinct": 0.9, "alike": 0.9},
    votes=(1, 1),
)
