"""data-report."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import number, percent
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """What the training data are: how many, of which shape and type, and how much of them was looked at.

    Why it matters
        Every note begins with it: look at the data before writing a net. A wrong shape, a wrong count or a wrong scale
        is seen here in a second.

    How it is decided
        Nothing is judged. Samples are read through the data set as the loader reads them, spread over all of it, for
        as long as there is time; the share that was read is printed with every number that rests on it. Where neither
        a loader nor a variable holds the data, it is the samples that entered the model in the first steps.

    When it is a false alarm
        Never: it is a report.

    What to do
        Compare it with what you believe the data are.
    """
    train = at.set("train")
    rows, read = train.get("rows"), int(train.get("read") or 0)
    stream = " as they entered the model" if train.get("seen") else " of a stream read"
    size = f"all {rows:,} samples" if rows == read else f"{read:,} of {rows:,} samples" if rows else f"{read:,} samples"
    part = " read" if rows == read else f" ({percent(read / rows)}) read" if rows else stream
    shape = "x".join(str(size) for size in train.get("shape") or ()) or "a single number"
    what = f"{size}{part}: {shape} {train.get('dtype', '')}"
    mean, std = train.get("mean") or [], train.get("std") or []
    if mean and std:
        what += f", mean {number(sum(mean) / len(mean))}, deviation {number(sum(std) / len(std))}"
    target = train.get("target") or {}
    if counts := target.get("counts"):
        what += f"; {len(counts)} labels"
    elif target.get("std") is not None:
        what += f"; targets of mean {number(target['mean'])}, deviation {number(target['std'])}"
    others = [f"{name} {data['rows']:,}" for name, data in at.sets().items() if name != "train" and data.get("rows")]
    return Verdict("pass", what + (f"; {', '.join(others)} rows" if others else ""), float(read), rows)


CHECK = Check("data-report", "what the data are", "Notes K12, B17: look at the data first.", judge)
