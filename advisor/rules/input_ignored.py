"""input-ignored."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..finding import Abstain, Found, number
from ..rule import Rule
from ..window import finite, median

PATH = "Follow the input to the output"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The output does not depend on the input.

    Why it matters
        What can be learned without looking is the mean of the targets. A wrong tensor passed on, an input multiplied by
        zero, an attention mask that hides everything or a layer that gives a constant look like a task that is hard.

    How it is decided
        Exact: what the loss gets as prediction was the same for all samples of the batch, to a millionth of its size,
        at each of the last ten sampled steps or validation batches: an error. Otherwise it is never more than *watch*:
        after a fifth of the run the loss of the training batch does not change, by two standard errors and a
        thousandth, when the inputs are permuted among the samples.

    When it is a false alarm
        A net that learns its bias first passes through this: hence the wait. A discriminator with one answer, and a
        batch of equal samples.

    What to do
        Print the model's output for two different inputs, then the output of each layer: where do they become equal?
    """
    if at.broken:
        raise Abstain("the net computes no numbers any more")
    found = _constant(at, limit) or _permuted(at, limit)
    if found is None:
        return None
    exact, what, why, evidence = found
    scale = f"; the input itself has a deviation of {number(_input_std(at))}" if at.has("input.std") else ""
    return Found(
        "error" if exact else "watch",
        what,
        (why + scale,),
        evidence.first_step,
        (evidence,),
        (
            Remedy(
                PATH,
                "one batch → two different inputs, and the output of each layer compared",
                "output.spread is above a hundredth of output.std",
            ),
        ),
        "If every layer differs, look behind the model: a mean over the batch, a wrong index into the output.",
        exact=exact,
    )


def _constant(at: Context, limit: Mapping[str, float]) -> tuple[bool, str, str, Evidence] | None:
    """In validation too: there dropout does not make equal outputs differ."""
    size = abs(median(at.view("output.mean").last(10).scalar)) if at.has("output.mean") else 1.0
    for metric, where in (("output.spread", "sampled steps"), ("output.val.spread", "validation batches")):
        view = at.view(metric).last(int(limit["samples"])) if at.has(metric) else None
        if view is None or len(view.steps) < limit["samples"] or (at.batch_size or 0) < 2:
            continue
        worst = float(np.max(view.scalar))
        if worst <= 1e-6 * max(1.0, size):
            begin = int(view.steps[0])
            return (
                True,
                f"every sample of a batch gets the same output (spread {number(worst)})",
                f"so it was at each of the last {len(view.steps)} {where}",
                Evidence(metric, worst, 0.01, "deviation of the output across samples", begin, at.step),
            )
    return None


def _permuted(at: Context, limit: Mapping[str, float]) -> tuple[bool, str, str, Evidence] | None:
    if at.step < at.track.segment.first_step + max(at.warmup, limit["part"] * at.horizon):
        raise Abstain("too early: a net may learn its bias first")
    permuted, plain = at.late(at.view("loss.permuted")), at.late(at.view("loss.train.eval"))
    shared = np.intersect1d(permuted.steps, plain.steps)
    a, b = (view.scalar[np.searchsorted(view.steps, shared)] for view in (permuted, plain))
    rise = finite(a - b).astype(np.float64)
    if len(rise) < limit["samples"]:
        raise Abstain("too few batches were tried with permuted inputs")
    mean, error = float(np.mean(rise)), float(np.std(rise)) / math.sqrt(len(rise))
    level = abs(median(b))
    if mean > 2 * error or mean > 1e-3 * level:
        return None
    return (
        False,
        f"permuting the inputs among the samples leaves the loss at {number(median(a))} ({number(level)} before)",
        f"over {len(rise)} batches it changed by {number(mean)}, with a standard error of {number(error)}",
        Evidence("loss.permuted", median(a), level, "loss with permuted inputs", int(shared[0]), at.step),
    )


def _input_std(at: Context) -> float:
    return median(at.view("input.std").last(20).scalar)


RULE = Rule(
    "input-ignored",
    "the output ignores the input",
    "invariant",
    (
        "output.spread",
        "output.val.spread",
        "output.mean",
        "loss.permuted",
        "loss.train.eval",
        "input.std",
        "batch.size",
    ),
    (PATH,),
    "Notes B32, T9 (an input-independent baseline). Only an output that is exactly constant is called an error.",
    check,
    {"samples": 10, "part": 0.2},
)
