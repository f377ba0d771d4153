"""parameter-share."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import percent
from ..place import of_layer
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """One linear layer with nearly all parameters, or far more parameters than data.

    Why it matters
        A linear layer on a flattened picture holds most of the net and overfits first: average pooling does without.

    How it is decided
        One Linear of 100,000 parameters or more with over 90 % of all, or 1,000 parameters per number in the data:
        told.

    When it is a false alarm
        Nets with a single hidden layer are such a layer. Pre-trained nets have more parameters than data.

    What to do
        nn.AdaptiveAvgPool2d(1) in front of the last layer; a smaller net.
    """
    rows = [(str(row[0]), str(row[1]), int(row[2])) for row in at.facts.get("modules") or ()]
    total = sum(size for _, _, size in rows)
    if not total:
        return None
    name, kind, size = max(rows, key=lambda row: row[2])
    several = sum(bool(own) for _, _, own in rows) > limit["layers"]
    said = f"layer {name or kind} has {percent(size / total)} of {total:,} parameters"
    if kind == "Linear" and size > limit["size"] and size > limit["share"] * total and several:
        return Verdict(
            "info",
            said,
            size / total,
            limit["share"],
            f"{name}{of_layer(at, name)} → behind average pooling",
            "no layer has over 90 %",
        )
    return Verdict("pass", said, size / total, limit["share"])


CHECK = Check(
    "parameter-share",
    "parameters spread over the layers",
    "Notes T30, D9.",
    judge,
    {"share": 0.9, "size": 1e5, "layers": 3},
)
