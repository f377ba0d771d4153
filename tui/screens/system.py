"""Screen 5: the machine, and where a step's time goes."""

from __future__ import annotations

from textual.app import ComposeResult

from ..curves import Curve
from ..view import View
from ..widgets.chart import Chart
from ..widgets.gauges import Gauges
from .room import Room


class SystemScreen(Room):
    """Gauges above, time of a step and its wait for data below."""

    name_of = "system"
    AUTO_FOCUS = "Chart"

    def body(self) -> ComposeResult:
        yield Gauges()
        yield Chart(
            "seconds a step",
            [Curve("step.seconds", "whole"), Curve("data.wait", "waiting for data", 1, "o", dashed=True)],
            missing="no step was timed yet",
        )

    def look(self, view: View) -> None:
        gauges = self.query_one(Gauges)
        height = len(gauges.lines(view))
        if gauges.styles.height is None or gauges.styles.height.value != height:
            gauges.styles.height = height
