"""Screen 3: how sure the model is, and how right."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container

from ..widgets.chart import Chart, Curve
from ..widgets.heatmap import Confidence
from .room import Room

_MISSING = "no softmax confidence: it needs a classification loss (cross_entropy, nll_loss)"


class ConfidenceScreen(Room):
    """Training and validation side by side, or one above the other where it is narrow; below, where there is room,
    confidence against accuracy over time."""

    name_of = "confidence"

    def body(self) -> ComposeResult:
        with Container(id="pair"):
            yield Confidence("confidence.train", "train", _MISSING)
            yield Confidence("confidence.val", "val", "no validation pass with a classification loss was seen yet")
        yield Chart(
            "how sure, how right",
            [
                Curve("accuracy.train", "train right"),
                Curve("sure.train", "sure", 0, "-", dashed=True),
                Curve("accuracy.val", "val right", 1, "o", smooth=False),
                Curve("sure.val", "sure", 1, "~", dashed=True),
            ],
            kind="linear",
            missing=_MISSING,
        )
