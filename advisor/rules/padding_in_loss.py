"""padding-in-loss."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Found, percent
from ..place import of_loss
from ..rule import Rule
from ..script import loss
from ..window import median

IGNORE = "Leave padding out of the loss"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Padding is counted in the loss as if it had to be predicted.

    Why it matters
        Padding is easy: a net that has learned nothing but to predict it has a low loss and a high accuracy, and the
        gradient of the real tokens is diluted by its share.

    How it is decided
        Mechanism: more than a tenth of the targets equal the padding index of an embedding of the model and are
        counted. Outcome: the net predicts padding about as often, so the loss falls by it. A share alone is *watch*
        from 30 % on.

    When it is a false alarm
        A padding index that is a real token as well (end of sequence used as padding) occurs once a sequence: that is
        under a tenth unless sequences are very short.

    What to do
        cross_entropy(..., ignore_index=pad), or a mask on the unreduced loss that is divided by its sum.
    """
    view = at.window(at.view("target.padding"))
    share = median(view.scalar)
    if not at.exceeds(share, limit["share"]):
        return None
    keys = [f"{percent(share)} of the targets are padding and are counted"]
    index = (at.facts.get("loss.graph") or {}).get("padding_idx")
    predicted = _predicted(at, index)
    severity: Severity = "watch"
    if predicted is not None and predicted > 0.5 * share:
        severity = "warn"
        keys.append(f"{percent(predicted)} of the predictions are padding")
    elif not at.exceeds(share, limit["alone"]):
        return None
    pad = index if index is not None else "pad"
    return Found(
        severity,
        f"{percent(share)} of the targets in {loss(at).get('name', 'the loss')}{of_loss(at)} are padding (reference 0)",
        tuple(keys),
        int(view.steps[0]),
        (Evidence("target.padding", share, 0.0, "share of counted targets that are padding", 0, at.step),),
        (
            Remedy(
                IGNORE,
                f"{loss(at).get('name', 'the loss')}(...){of_loss(at)} → ignore_index={pad}",
                "target.padding is 0; the loss jumps to that of the real tokens and falls from there",
            ),
        ),
        "If padding must be predicted (an end of sequence), keep one of it per sequence and ignore the rest.",
    )


def _predicted(at: Context, index: object) -> float | None:
    """Share of the padding index among the newest predictions; None where they are not counted."""
    if not isinstance(index, int) or not at.has("predicted.count"):
        return None
    counts = np.nansum(at.late(at.view("predicted.count")).last(20).values, axis=0)
    return float(counts[index] / counts.sum()) if 0 <= index < len(counts) and counts.sum() else None


RULE = Rule(
    "padding-in-loss",
    "padding is counted in the loss",
    "statistical",
    ("target.padding", "predicted.count"),
    (IGNORE,),
    "Measured by comparing the targets with the padding index of the model's embedding.",
    check,
    {"share": 0.1, "alone": 0.3},
)
