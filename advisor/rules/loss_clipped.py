"""loss-clipped."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..context import DENSE, Context
from ..finding import Abstain, Found, number, percent
from ..place import of_loss
from ..rule import Rule
from ..script import operations
from ..window import finite, median, together

CLIP_GRADIENT = "Clip the gradient, not the loss"
CLAMPS = {"Clamp", "ClampMin", "ClampMax", "Minimum", "Hardtanh"}
OTHERS = {"Mean", "Sum", "NllLoss", "MseLoss"}
"""Operations after a loss that leave its size alone, or are the loss."""


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The loss is cut off at the top, so the samples that are wrong most teach nothing.

    Why it matters
        Beyond the limit the derivative is zero. Where it was meant to keep the gradient small, it makes the net ignore
        its outliers, and a net that starts above the limit never moves.

    How it is decided
        Mechanism: a clamp or minimum in autograd's graph between the loss function and backward(). Outcome: what
        backward() is called on is lower than what the loss function gave, by 5 % or more, in most of the newest steps.
        Without the graph: a fifth of the samples of a batch have exactly the same, largest loss while the others
        differ; or the last 20 losses are the same to the last digit, above 0, with a gradient of exactly 0;
        or three of the first 20 batches have one and the same, largest loss with a gradient of exactly 0, the others
        a smaller one and a gradient.

    When it is a false alarm
        A lower bound (clamp(min=...), free bits) makes the loss larger, not smaller, and is silent.

    What to do
        Take the clamp away. Against outliers: clip_grad_norm_ before the step, or a loss that grows linearly
        (smooth_l1_loss, huber_loss).
    """
    found = _by_gradient(at, limit) or _at_first(at, limit) or _by_graph(at) or _by_samples(at, limit)
    if found is None:
        return None
    what, keys, evidence = found
    return Found(
        "warn",
        what,
        keys,
        int(at.loss.steps[0]),
        (evidence,),
        (
            Remedy(
                CLIP_GRADIENT,
                f"the loss cut off{of_loss(at)} → loss.backward() as it is, then clip_grad_norm_(parameters, 1.0)",
                "loss.root equals loss.train, and no two samples have the same largest loss",
            ),
        ),
        "If outliers then rule the training, use huber_loss, and look at these samples.",
    )


def _by_gradient(at: Context, limit: Mapping[str, float]) -> tuple[str, tuple[str, ...], Evidence] | None:
    """One and the same loss for one batch after the other, and no gradient at all: it stands at the limit."""
    if not at.has("grad.norm"):
        return None
    trained_on = at.view("loss.root") if at.has("loss.root") else at.loss
    norms, losses = at.view("grad.norm").last(int(limit["steps"])), trained_on.last(int(limit["steps"]))
    if min(len(norms.steps), len(losses.steps)) < limit["steps"] or np.any(norms.scalar):
        return None
    level = float(losses.scalar[-1])
    if not level > 0 or np.any(losses.scalar != losses.scalar[-1]):
        return None
    return (
        f"the loss is exactly {number(level)} for one batch after the other",
        (f"the last {len(losses.steps)} losses are the same to the last digit", "and their gradient is exactly 0"),
        Evidence("grad.norm", 0.0, None, "gradient at each of the newest steps", int(norms.steps[0]), at.step),
    )


def _at_first(at: Context, limit: Mapping[str, float]) -> tuple[str, tuple[str, ...], Evidence] | None:
    """Some of the first batches have the very same, largest loss and no gradient at all: these lie beyond the limit
    from end to end, the others in part."""
    if not at.has("grad.norm"):
        return None
    end = at.track.segment.first_step + DENSE + 1
    losses = (at.view("loss.root") if at.has("loss.root") else at.loss).before(end)
    losses, norms = together(losses, at.view("grad.norm").before(end))
    values, still = losses.scalar, norms.scalar == 0
    top = values == np.max(values, initial=-np.inf)
    if np.sum(top) < limit["batches"] or not still[top].all() or still[~top].any() or top.all():
        return None
    level, count = float(values[top][0]), int(np.sum(top))
    return (
        f"{count} of the first {len(values)} batches have a loss of exactly {number(level)}, and no gradient",
        (f"{count} batches share the largest loss to the last digit", "and their gradient is exactly 0"),
        Evidence("grad.norm", 0.0, None, "gradient where the loss is at its largest", int(losses.steps[0]), at.step),
    )


def _by_graph(at: Context) -> tuple[str, tuple[str, ...], Evidence] | None:
    try:
        after = operations(at, "after")
    except Abstain:
        return None
    if not CLAMPS & set(after) or set(after) - CLAMPS - OTHERS or not at.has("loss.root"):
        return None
    root, whole = _pairs(at)
    lower = float(np.mean((root < 0.95 * whole) & (whole > 0))) if len(root) >= 3 else 0.0
    if lower < 0.5:
        return None
    now, full = median(root), median(whole)
    name = next(op for op in after if op in CLAMPS).lower()
    return (
        f"backward() gets a loss of {number(now)} where the loss function gave {number(full)}",
        (f"a {name} stands between the two", f"it lowered the loss in {percent(lower)} of the newest steps"),
        Evidence("loss.root", now, full, "what backward() was called on, against the loss", 0, at.step),
    )


def _pairs(at: Context) -> tuple[np.ndarray, np.ndarray]:
    """What backward() was called on beside what the loss function gave: the mean of its samples where these are known
    (an unreduced loss has no value of its own)."""
    root = at.view("loss.root").last(5000)
    if at.has("loss.train.each"):
        root, each = together(root, at.view("loss.train.each").last(20))
        known = np.isfinite(each.values).sum(axis=1)
        return root.scalar, np.where(known > 0, np.nansum(each.values, axis=1) / np.maximum(known, 1), np.nan)
    root, losses = together(root, at.loss.last(50))
    return root.scalar, losses.scalar


def _by_samples(at: Context, limit: Mapping[str, float]) -> tuple[str, tuple[str, ...], Evidence] | None:
    """Samples that share the largest loss exactly, while the rest of the batch differs from sample to sample."""
    each = at.view("loss.train.each").last(10)
    at_the_top = each.values == np.fmax.reduce(each.values, axis=1, initial=-np.inf)[:, None]
    shares = []
    if np.max(at_the_top.sum(axis=1), initial=0) < 2:
        return None  # no number comes twice
    for row in each.values:
        losses = finite(row)
        if len(losses) < 16:
            continue
        top = losses == losses.max()
        rest = losses[~top]
        varied = len(rest) > 4 and len(np.unique(rest)) > 0.8 * len(rest)
        shares.append(float(top.mean()) if varied else 0.0)
    share = median(np.array(shares)) if len(shares) >= 5 else 0.0
    if not at.exceeds(share, limit["share"]):
        return None
    largest = float(np.nanmax(each.values))
    return (
        f"{percent(share)} of the samples of a batch have exactly the largest loss, {number(largest)}",
        ("so many equal numbers come of a limit", "the losses of the others differ from sample to sample"),
        Evidence("loss.train.each", share, limit["share"], "share of samples at the largest loss", 0, at.step),
    )


RULE = Rule(
    "loss-clipped",
    "the loss is clipped",
    "statistical",
    ("loss.train", "loss.root", "loss.train.each", "grad.norm"),
    (CLIP_GRADIENT,),
    "Note K8 (clipping the loss instead of the gradient).",
    check,
    {"share": 0.2, "steps": 20, "batches": 3},
)
