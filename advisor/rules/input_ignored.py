"""input-ignored."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..entering import entering
from ..finding import Abstain, Found, number
from ..layers import shape_of
from ..place import of_call
from ..rule import Rule
from ..window import View, finite, median, together

PATH = "Follow the input to the output"
Seen = tuple[str, str, Evidence]
"""What was seen, why it is believed, and the number."""


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The output does not depend on the input.

    Why it matters
        What can be learned without looking is the mean of the targets. A wrong tensor passed on, an input multiplied by
        zero, an attention mask that hides everything or a layer that gives a constant look like a task that is hard.

    How it is decided
        Exact: what enters the net was zero everywhere at each of the last ten sampled steps, and one of its weight
        matrices gets no gradient; or the gradient of the first layer's weight is that of its bias times one and the
        same number at every sampled step (0 where nothing enters); or of the table that comes first only one row ever
        gets a gradient; or all samples have the same fingerprint, and over a third of the first loss is left; or what
        the loss gets as prediction was the same for all samples of the batch, to a millionth of its size, at each of
        the last ten sampled steps or validation batches: an error. After a fifth of the run: the outputs of validation
        samples lie a hundred times closer together than at the first evaluation, and none of five or more was better
        than that one: *warn*, the representations collapse. And never more than *watch*: the loss of the training batch
        does not change, by two standard errors and a thousandth, when the inputs are permuted among the samples.

    When it is a false alarm
        A net that learns its bias first passes through this: hence the wait. A discriminator with one answer, and a
        batch of equal samples.

    What to do
        Print the model's output for two different inputs, then the output of each layer: where do they become equal?
    """
    if at.broken:
        raise Abstain("the net computes no numbers any more")
    found = _nothing(at, limit) or _same(at, limit) or _constant(at, limit)
    severity: Severity = "error"
    if found is None and (found := _shrunk(at, limit)):
        severity = "warn"
    if found is None and (found := _permuted(at, limit)):
        severity = "watch"
    if found is None:
        return None
    what, why, evidence = found
    scale = f"; the input itself has a deviation of {number(_input_std(at))}" if at.has("input.std") else ""
    return Found(
        severity,
        what,
        (why + scale,),
        evidence.first_step,
        (evidence,),
        (
            Remedy(
                PATH,
                f"one batch{of_call(at, '')} → two different inputs, and the output of each layer compared",
                "output.spread is above a hundredth of output.std",
            ),
        ),
        "If every layer differs, look behind the model: a mean over the batch, a wrong index into the output.",
        exact=severity == "error",
    )


def _nothing(at: Context, limit: Mapping[str, float]) -> Seen | None:
    """What enters the net is zero everywhere, and a weight matrix gets no gradient of it: 0 times anything is 0."""
    if not (at.has("input.std") and at.has("input.max") and at.has("input.min") and at.has("grad.norm.layer")):
        return None
    newest = [at.view(metric).last(int(limit["samples"])) for metric in ("input.max", "input.min", "grad.norm.layer")]
    if min(len(view.steps) for view in newest) < limit["samples"] or any(np.any(view.scalar) for view in newest[:2]):
        return None
    columns = at.weights(newest[2])
    still = [newest[2].names[i] for i in columns if not np.any(newest[2].values[:, i])]
    if not still:
        return None
    begin = int(newest[0].steps[0])
    return (
        "what enters the net is 0 everywhere",
        f"so it was at each of the last {len(newest[0].steps)} sampled steps, and {still[0]} has no gradient",
        Evidence("input.std", 0.0, None, "deviation of what enters the net", begin, at.step, still[0]),
    )


def _same(at: Context, limit: Mapping[str, float]) -> Seen | None:
    """What enters is the same for all samples: their fingerprints, the gradients of the first layer, or the only row of
    a table that is ever read say so."""
    begin = at.track.segment.first_step + 1
    if at.has("input.rows"):
        alike = at.once("one row", ("input.rows",), lambda: _alike(at.view("input.rows").last(int(limit["samples"]))))
        if alike >= limit["samples"] / 2 and not at.recent_loss() < limit["left"] * at.first_loss:
            return (
                "all samples that enter the model are the same",
                f"so it was in each of the last {alike} batches that were looked at, in every row",
                Evidence("input.rows", 1.0, None, "different samples among all these", begin, at.step),
            )
    found = entering(at)
    if found is not None and (found.size == 0 or found.constant):
        what = "is 0 everywhere" if found.size == 0 else "is the same for all samples of all steps"
        return (
            f"what enters {found.layer} {what}",
            f"the gradient of its weight is that of its bias times {number(found.size)}, at every sampled step",
            Evidence("grad.norm.layer", found.size, None, "gradient of the weight over that of the bias", begin,
                     at.step, found.layer),
        )  # fmt: skip
    return _one_row(at, limit)


def _alike(view: View) -> int:
    """Batches of several rows all of which are one and the same row; 0 where there is another one."""
    rows = view.values[np.isfinite(view.values).sum(axis=1) > 1]
    return len(rows) if len(rows) and np.nanmax(rows) == np.nanmin(rows) else 0


def _one_row(at: Context, limit: Mapping[str, float]) -> Seen | None:
    """The first parameter is a table of which only one and the same row ever gets a gradient."""
    modules = at.facts.get("modules") or ()
    kinds = {f"{row[0]}.weight": str(row[1]) for row in modules}
    if not at.has("grad.zeros") or "Embedding" not in kinds.get((view := at.view("grad.zeros")).names[0], ""):
        return None
    rows, shares = shape_of(view.notes[0])[0], view.scalar[np.isfinite(view.scalar)]
    if rows < limit["table"] or len(shares) < limit["tables"] or np.any(np.abs(shares * rows - rows + 1) > 1e-3):
        return None
    begin = int(view.steps[0])
    return (
        f"of the {rows} rows of {view.names[0]} only one is read",
        f"the others had no gradient at each of {len(shares)} sampled steps",
        Evidence("grad.zeros", float(shares[-1]), None, "share of the table without a gradient", begin, at.step,
                 view.names[0]),
    )  # fmt: skip


def _constant(at: Context, limit: Mapping[str, float]) -> Seen | None:
    """In validation too: there dropout does not make equal outputs differ."""
    size = abs(median(at.view("output.mean").last(10).scalar)) if at.has("output.mean") else 1.0
    size = min(size, limit["size"])  # a mask of -1e9 is no size
    for metric, where in (("output.spread", "sampled steps"), ("output.val.spread", "validation batches")):
        view = at.view(metric).last(int(limit["samples"])) if at.has(metric) else None
        if view is None or len(view.steps) < limit["samples"] or (at.batch_size or 0) < 2:
            continue
        worst = float(np.max(view.scalar))
        if worst <= 1e-6 * max(1.0, size):
            begin = int(view.steps[0])
            return (
                f"every sample of a batch gets the same output (spread {number(worst)})",
                f"so it was at each of the last {len(view.steps)} {where}",
                Evidence(metric, worst, 0.01, "deviation of the output across samples", begin, at.step),
            )
    return None


def _shrunk(at: Context, limit: Mapping[str, float]) -> Seen | None:
    """In validation the outputs of different samples have come to lie a hundred times closer together than at first,
    and the loss there is no better for it: representations that collapse."""
    if at.step < at.track.segment.first_step + max(at.warmup, limit["part"] * at.horizon):
        return None
    losses = finite(at.evaluations.loss)
    if not at.has("output.val.spread") or len(losses) < limit["evaluations"]:
        return None
    view = at.view("output.val.spread")
    first, now = median(view.scalar[:1]), median(view.last(3).scalar)
    better = float(np.min(losses[1:])) < losses[0] - limit["better"] * abs(losses[0])
    if better or not now * limit["shrunk"] < first:
        return None
    begin = int(view.steps[0])
    return (
        f"the outputs of different samples now differ by {number(now)}, {number(first)} at first",
        f"and no evaluation since has been better than the first, with a loss of {number(float(losses[0]))}",
        Evidence(
            "output.val.spread", now, first, "deviation across validation samples, against the first", begin, at.step
        ),
    )


def _permuted(at: Context, limit: Mapping[str, float]) -> Seen | None:
    if at.step < at.track.segment.first_step + max(at.warmup, limit["part"] * at.horizon):
        raise Abstain("too early: a net may learn its bias first")
    permuted, plain = together(at.late(at.view("loss.permuted")), at.late(at.view("loss.train.eval")))
    a, b = permuted.scalar, plain.scalar
    rise = finite(a - b).astype(np.float64)
    if len(rise) < limit["samples"]:
        raise Abstain("too few batches were tried with permuted inputs")
    mean, error = float(np.mean(rise)), float(np.std(rise)) / math.sqrt(len(rise))
    level = abs(median(b))
    if mean > 2 * error or mean > 1e-3 * level:
        return None
    return (
        f"permuting the inputs among the samples leaves the loss at {number(median(a))} ({number(level)} before)",
        f"over {len(rise)} batches it changed by {number(mean)}, with a standard error of {number(error)}",
        Evidence("loss.permuted", median(a), level, "loss with permuted inputs", int(plain.steps[0]), at.step),
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
        "input.max",
        "input.min",
        "input.rows",
        "grad.norm.layer",
        "grad.zeros",
        "batch.size",
    ),
    (PATH,),
    "Notes B32, T9 (an input-independent baseline). Only an output that is exactly constant is called an error.",
    check,
    {
        "samples": 10,
        "part": 0.2,
        "size": 1e3,
        "evaluations": 5,
        "shrunk": 100,
        "better": 0.01,
        "table": 5,
        "tables": 5,
        "left": 1 / 3,
    },
)
