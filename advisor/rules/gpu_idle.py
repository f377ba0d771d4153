"""gpu-idle."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..finding import Abstain, Found, number
from ..machine import samples
from ..rule import Rule
from ..window import View, median

BATCH = "A larger batch"
FEWER = "Fewer, larger kernels"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The GPU has little to do.

    Why it matters
        It is paid for by the hour.

    How it is decided
        Over a minute of samples or more, the GPU that this job uses is busy for less than 70 % of the time even in its
        busiest twentieth. It is a fact, and *watch* under 30 %.

    When it is a false alarm
        A small net cannot fill a large GPU: then a smaller one does as well.

    What to do
        If training waits for data, that is the cause and is named. Else a larger batch, torch.compile or CUDA graphs
        (many small kernels), and no .item() in every step.
    """
    if not str(at.facts.get("device") or "").startswith("cuda"):
        raise Abstain("training does not run on a GPU")
    view = samples(at, "gpu.percent").last(600)
    ours = _ours(at, view)
    if len(view.steps) < limit["samples"]:
        raise Abstain("less than a minute of samples")
    high = np.nanpercentile(view.values, 95, axis=0)
    worst = min(ours, key=lambda i: float(high[i]))
    peak, usual = float(high[worst]), median(view.values[:, worst])
    if not at.undercuts(peak, limit["busy"]):
        return None
    size = at.batch_size
    expect = f"gpu.percent is over {number(limit['busy'])}"
    batch = f"batch {size:.0f} → {2 * size:.0f}" if size else "the batch → twice as large"
    return Found(
        "watch" if at.undercuts(peak, limit["idle"]) else "info",
        f"{view.names[worst]} is busy for {usual:.0f} % of the time, {peak:.0f} % at best",
        (f"over {len(view.steps)} samples, a second apart, its 95th percentile is {peak:.0f} %",),
        int(view.steps[0]),
        (Evidence("gpu.percent", peak, limit["busy"], "95th percentile", int(view.steps[0]), at.step),),
        (
            Remedy(BATCH, f"{batch}, with a rate to match", expect),
            Remedy(FEWER, "model → torch.compile(model)", expect),
        ),
        "If it stays idle, profile one step: what runs between the kernels?",
    )


def _ours(at: Context, view: View) -> list[int]:
    """GPUs on which this job holds memory; all of them where that is not measured."""
    every = list(range(view.values.shape[1]))
    try:
        held = samples(at, "gpu.memory.mine").last(60)
    except Abstain:
        return every
    return [i for i in every if np.nanmax(held.values[:, i]) > 0] or every


RULE = Rule(
    "gpu-idle",
    "the GPU has little to do",
    "fact",
    ("gpu.percent", "gpu.memory.mine", "batch.size"),
    (BATCH, FEWER),
    "Note C119; the 95th percentile under 70 % is SageMaker Debugger's rule.",
    check,
    {"busy": 70, "idle": 30, "samples": 60},
)
