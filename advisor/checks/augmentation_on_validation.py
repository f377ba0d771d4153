"""augmentation-on-validation."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import percent
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Whether a validation sample is the same each time it is read.

    Why it matters
        Random augmentation on validation makes its number another one each time, and mostly worse than it is. A split
        of one data set gives its random transform to both halves.

    How it is decided
        Exact: validation samples are read twice with other random numbers. Those that differ are counted.

    When it is a false alarm
        Tasks that draw something for each sample on purpose (noise levels, masks, views of contrastive learning): told
        only, where the loss is none of the usual ones.

    What to do
        A data set of its own for validation, with transforms that draw nothing.
    """
    held = next((role for role in ("validation", "test") if role in at.sets()), None)
    if held is None:
        return None
    share = at.set(held).get("varies")
    if share is None:
        return None
    if not share:
        return Verdict("pass", f"{held} samples are the same each time they are read", 0.0, 0.0)
    usual = bool(at.facts.get("classes"))
    return Verdict(
        "warn" if usual else "info",
        f"{percent(float(share))} of the {held} samples differ when they are read again",
        float(share),
        0.0,
        "random transforms on all data → on the training part only",
        "validation samples read twice are equal",
    )


CHECK = Check("augmentation-on-validation", "validation data without augmentation", "Exact.", judge)
