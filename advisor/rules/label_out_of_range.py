"""label-out-of-range."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Event, Evidence, Remedy

from ..context import Context
from ..finding import Abstain, Found, number
from ..nonfinite import last_finite
from ..place import of_loss
from ..rule import Rule
from ..script import loss
from ..window import finite

LABELS = "Bring the labels into range"
_TOLD = re.compile(r"[Tt]arget -?\d+ is out of bounds|n_classes.*failed|index out of range in self|targets? should be")
"""What torch says of a label without an output (CPU, then CUDA), and of an index without an embedding row."""


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """A label for which the model has no output, or a target that is no probability.

    Why it matters
        cross_entropy raises on the CPU; on a GPU it is a device-side assert that names no line and takes the process
        along. binary_cross_entropy_with_logits says nothing at all: with labels of 1 and 2, or -1 and 1, its loss
        falls below any bound.

    How it is decided
        Exact: what torch said when it raised; for binary cross entropy, targets whose mean lies outside 0 to 1 or
        whose spread no numbers between 0 and 1 can have.

    When it is a false alarm
        None is known.

    What to do
        Classes are counted from 0: 10 classes are 0 to 9. Make the last layer as wide as the largest label plus one, or
        map the labels. For binary cross entropy the two labels are 0.0 and 1.0.
    """
    met = next((event for event in at.events("nonfinite") if "outside" in event.data), None)
    if met is not None:
        return _met(at, met)
    name = str(loss(at).get("name", "the loss"))
    said = next((str(e.data.get("message", "")) for e in at.events("exception")), "")
    classes = at.facts.get("classes")
    if _TOLD.search(said):
        begin = at.step
        value = float(at.loss.scalar[-1]) if at.has("loss.train") else float("nan")
        evidence = (Evidence("loss.train", value, None, "the last loss", begin, begin),) if begin else ()
        what, why = said.strip().splitlines()[0], "torch raised it"
        change = f"labels → 0 to {classes - 1}{of_loss(at)}" if classes else f"labels → 0 to C - 1{of_loss(at)}"
        change += ", or a last layer as wide as the largest label + 1"
    else:
        if not name.startswith("binary_cross_entropy"):
            return None
        if not at.has("target.mean") or not at.has("target.std"):
            raise Abstain("the targets are not measured")
        means, stds = (finite(at.view(f"target.{kind}").thin(400).scalar).astype(float) for kind in ("mean", "std"))
        excess = stds**2 - means * (1 - means)
        if np.min(means) >= 0 and np.max(means) <= 1 and (len(means) < limit["batches"] or np.median(excess) < 0.05):
            return None
        m, std = float(np.median(means)), float(np.median(stds))
        begin = at.track.segment.first_step + 1
        evidence = (Evidence("target.mean", m, 1.0, "mean of the targets; they are probabilities", begin, at.step),)
        what = f"targets of {name}{of_loss(at)} are not between 0 and 1: mean {number(m)}, deviation {number(std)}"
        why = "numbers between 0 and 1 cannot have this mean and this spread"
        change = f"targets as they are → 0.0 and 1.0{of_loss(at)}"
    return Found(
        "error",
        what,
        (why,),
        begin,
        evidence,
        (Remedy(LABELS, change, "training passes this step, and no loss is below 0"),),
        "If the labels look right, count them once over the whole data set: min, max and how many of each.",
        exact=True,
    )


def _met(at: Context, event: Event) -> Found:
    """The batch that held the label was seen."""
    data, outside = event.data, event.data["outside"]
    row = (data.get("bad_samples") or [0])[0]
    known = data.get("samples")
    where = f"sample {known[0]} of the data set" if known else f"sample {row} of its batch"
    classes = data.get("classes")
    counted = f", the model has {classes} classes" if classes else ""
    change = f"{outside['value']} at {where} → {outside['range']}{of_loss(at)}"
    return Found(
        "fatal",
        f"the target {outside['value']} of step {event.step} ({where}) lies outside {outside['range']}{counted}",
        (str(data.get("detail") or "the batch was looked at when its loss failed"),),
        event.step,
        (last_finite(at, event.step),),
        (Remedy(LABELS, change, f"training passes step {event.step}, and every loss is finite"),),
        "If the labels look right, count them once over the whole data set: min, max and how many of each.",
        exact=True,
    )


RULE = Rule(
    "label-out-of-range",
    "a label out of range",
    "invariant",
    ("target.mean", "target.std", "loss.train"),
    (LABELS,),
    "Exact; the bound on the spread is that of Bhatia and Davis (2000).",
    check,
    {"batches": 5},
    votes=(1, 1),
)
