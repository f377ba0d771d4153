"""What a curve is, and those that more than one screen shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Curve(NamedTuple):
    """One curve of a chart: a column, its name in the legend, the number of its colour."""

    column: str
    label: str
    series: int = 0
    char: str = "*"
    dashed: bool = False
    smooth: bool = True
    points: bool = False
    letter: str = ""
    """Stands where the curve ends, of curves that only their colours would tell apart."""


LOSS = [
    Curve("loss.train", "train"),
    Curve("loss.val", "val", 1, "o", dashed=True, smooth=False, points=True),
]
ACCURACY = [
    Curve("accuracy.train", "train"),
    Curve("accuracy.val", "val", 1, "o", dashed=True, smooth=False, points=True),
]


def baselines(facts: Mapping[str, Any], column: str) -> list[tuple[float, str]]:
    """What an earlier check of the script measured for the losses or accuracies of a chart that begins with that
    column, with a word each: a guess that never looks at the input, and a linear model."""
    kind = {"loss.train": "loss", "loss.val": "loss", "accuracy.train": "accuracy", "accuracy.val": "accuracy"}.get(
        column
    )
    known = facts.get("baselines") or {}
    if kind is None or (kind == "loss" and (facts.get("loss") or {}).get("name") not in _COMPARABLE):
        return []
    named = ((known.get("majority") or known.get("mean"), "guess"), (known.get("linear"), "linear model"))
    return [(float(entry[kind]), word) for entry, word in named if entry and entry.get(kind) is not None]


_COMPARABLE = ("cross_entropy", "nll_loss", "mse_loss")
"""Losses in whose unit baselines are measured."""
