"""What a curve is, and those that more than one screen shows."""

from __future__ import annotations

from typing import NamedTuple


class Curve(NamedTuple):
    """One curve of a chart: a column, its name in the legend, the number of its colour."""

    column: str
    label: str
    series: int = 0
    char: str = "*"
    dashed: bool = False
    smooth: bool = True
    points: bool = False


LOSS = [
    Curve("loss.train", "train"),
    Curve("loss.val", "val", 1, "o", dashed=True, smooth=False, points=True),
]
ACCURACY = [
    Curve("accuracy.train", "train"),
    Curve("accuracy.val", "val", 1, "o", dashed=True, smooth=False, points=True),
]
