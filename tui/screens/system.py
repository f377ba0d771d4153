"""Screen 5: the machine, the nodes, the ranks, and where a step's time goes."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll

from ..curves import Curve
from ..view import View
from ..widgets.chart import Chart
from ..widgets.gauges import Gauges
from ..widgets.nodes import Nodes
from ..widgets.ranks import Ranks
from .room import Room


class SystemScreen(Room):
    """Gauges above, time of a step and its wait for data below."""

    name_of = "system"
    AUTO_FOCUS = "Gauges"

    def body(self) -> ComposeResult:
        with VerticalScroll(id="machine", can_focus=False):  # several devices and ranks are more than a screen holds
            yield Gauges()
            yield Nodes()
            yield Ranks()
            yield Chart(
                "seconds a step",
                [Curve("step.seconds", "whole"), Curve("data.wait", "waiting for data", 1, "o", dashed=True)],
                missing="no step was timed yet",
            )

    def look(self, view: View) -> None:
        gauges, nodes, ranks = self.query_one(Gauges), self.query_one(Nodes), self.query_one(Ranks)
        heights = ((gauges, len(gauges.lines(view))), (nodes, nodes.rows(view)), (ranks, ranks.rows(view)))
        for widget, height in heights:
            if widget.styles.height is None or widget.styles.height.value != height:
                widget.styles.height = height
            if widget.display != bool(height):
                widget.display = bool(height)
