"""Curves that more than one screen shows."""

from __future__ import annotations

from .widgets.chart import Curve

LOSS = [
    Curve("loss.train", "train"),
    Curve("loss.val", "val", 1, "o", dashed=True, smooth=False, points=True),
]
ACCURACY = [
    Curve("accuracy.train", "train"),
    Curve("accuracy.val", "val", 1, "o", dashed=True, smooth=False, points=True),
]
