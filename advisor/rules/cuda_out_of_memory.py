"""cuda-out-of-memory."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..finding import Abstain, Found, number
from ..machine import samples
from ..rule import Rule

BATCH = "A smaller batch, accumulated"
RECOMPUTE = "Keep fewer activations"
HALF = "Compute in bfloat16"
_SAID = re.compile(r"CUDA out of memory|CUDA error: out of memory|HIP out of memory", re.IGNORECASE)
GIB = 1 << 30


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The GPU has no memory left for what the script asked of it.

    Why it matters
        The run ends, at its first large batch or after hours.

    How it is decided
        The exception says so. The message's own numbers, the batch and the memory of the GPU are told beside it.

    When it is a false alarm
        A script that tries batch sizes until one fails, and goes on, is not reported: the exception never leaves it.

    What to do
        Half the batch and twice the accumulation trains the same. Activations take most of the memory of a training:
        checkpointing or bfloat16 halves them. If memory grew over the steps, something keeps old graphs.
    """
    raised = next(
        (
            e.data
            for e in at.events("exception")
            if e.data.get("type") == "OutOfMemoryError" or _SAID.search(str(e.data.get("message", "")))
        ),
        None,
    )
    if raised is None:
        return None
    said = str(raised.get("message", "")).strip().splitlines()[0][:160] or "out of memory"
    evidence = []
    if at.has("memory.allocated"):
        held = float(np.nanmax(at.view("memory.allocated").last(50).scalar))
        evidence.append(Evidence("memory.allocated", held, _total(at), "bytes in tensors at last", 0, at.step))
    if at.has("loss.train"):
        evidence.append(Evidence("loss.train", float(at.loss.scalar[-1]), None, "the last loss", at.step, at.step))
    size = at.batch_size
    batch = f"batch {size:.0f} → {max(1, size // 2):.0f}" if size else "the batch → half of it"
    passes = f"training passes step {at.step}, and memory.allocated stays level"
    wide = at.facts.get("precision") in (None, "float32") and not at.amp
    remedies = [
        Remedy(BATCH, f"{batch}, with twice the accumulation steps", passes),
        Remedy(RECOMPUTE, "all activations → torch.utils.checkpoint on the largest blocks", passes),
    ]
    if wide:
        remedies.append(Remedy(HALF, "float32 → torch.autocast('cuda', torch.bfloat16)", passes))
    held_total = f" of {number(evidence[0].reference / GIB)} GiB" if evidence and evidence[0].reference else ""
    return Found(
        "fatal",
        f"out of GPU memory{held_total} at step {at.step}: {said}",
        ("torch raised it",),
        at.step,
        tuple(evidence),
        tuple(remedies),
        "If it fails at another step each time, look at the longest sample, and at what is kept from step to step.",
        exact=True,
    )


def _total(at: Context) -> float | None:
    try:
        return float(np.nanmax(samples(at, "gpu.memory.total").values[-1]))
    except Abstain:
        return None


RULE = Rule(
    "cuda-out-of-memory",
    "out of GPU memory",
    "invariant",
    ("memory.allocated", "gpu.memory.total", "batch.size", "loss.train"),
    (BATCH, RECOMPUTE, HALF),
    "The exception as it left the script.",
    check,
    votes=(1, 1),
)
