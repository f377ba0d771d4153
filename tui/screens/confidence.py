"""Screen 3: how sure the model is, and how right."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from nnwatch.metric import CONFIDENCE_BINS

from ..calibration import advice, recent
from ..curves import Curve
from ..draw.grid import Ink
from ..view import View
from ..widgets.calibration import Classes, ReliabilityDiagram
from ..widgets.chart import Chart
from ..widgets.heatmap import Confidence
from .room import Room, Words

_MISSING = "no softmax confidence: it needs a classification loss (cross_entropy, nll_loss)"


class ConfidenceScreen(Room):
    """Training and validation side by side, or one above the other where it is narrow; below, where there is room,
    confidence against accuracy over time."""

    name_of = "confidence"
    AUTO_FOCUS = "Confidence"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "v", "calibration", "Reliability", tooltip="Histograms, or reliability and classes, where only one fits"
        ),
    ]

    def body(self) -> ComposeResult:
        yield Words(wrap=True, id="advice")
        with Container(id="pair"):
            yield Confidence("confidence.train", "train", _MISSING)
            yield Confidence("confidence.val", "val", "no validation pass with a classification loss was seen yet")
        with Container(id="calibration"):
            yield ReliabilityDiagram()
            yield Classes()
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

    def look(self, view: View) -> None:
        found = (view.row(f"confidence.{part}") for part in ("train", "val"))
        train, val = (
            recent(row[0], row[1] + 1) if row and row[0].width == 2 * CONFIDENCE_BINS else None for row in found
        )
        sentence = advice(train, val, view.facts.get("classes"))
        self.query_one("#advice", Words).say([(f"· {sentence}", Ink.TITLE)] if sentence else [])

    def action_calibration(self) -> None:
        self.toggle_class("-calibration")
        self.call_after_refresh(self._focus_shown)

    def _focus_shown(self) -> None:
        """What has just been hidden cannot keep the focus."""
        self.query(ReliabilityDiagram if self.has_class("-calibration") else Confidence).first().focus()
