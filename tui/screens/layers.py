"""Screen 2: every layer."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from nnwatch.metric import describe

from ..curves import Curve
from ..draw.grid import Ink
from ..layers import GUIDE, METRICS
from ..messages import Changed
from ..view import View
from ..widgets.chart import Chart
from ..widgets.heat_table import HeatTable
from .ask import Ask
from .room import Room, Words


class LayersScreen(Room):
    """The layer table, and below it the whole name of the chosen one."""

    name_of = "layers"
    AUTO_FOCUS = "HeatTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "slash",
            "filter",
            "Filter",
            key_display="/",
            tooltip="Show the layers with these letters in their name",
        ),
        Binding("escape", "clear", "Show all layers", show=False),
    ]

    def body(self) -> ComposeResult:
        yield HeatTable()
        yield Words(wrap=True, id="layer")

    def look(self, view: View) -> None:
        found = self.query_one(HeatTable).detail()
        text = f"{found[0]}  {found[1]}" if found else ""
        note = "   ! is far from usual (update/weight 1e-4 to 1e-2); 4 says what is wrong" if found else ""
        self.query_one("#layer", Words).say([(text + note, Ink.DIM)])

    def action_filter(self) -> None:
        table = self.query_one(HeatTable)

        def take(text: str | None) -> None:
            if text is not None:
                table.sought = text.strip()
                table.repaint()

        self.app.push_screen(Ask("filter layers", table.sought), take)

    def action_clear(self) -> None:
        table = self.query_one(HeatTable)
        table.sought = ""
        table.repaint()

    def on_heat_table_opened(self, message: HeatTable.Opened) -> None:
        self.app.push_screen(LayerScreen(message.layer))
        self.app.call_after_refresh(self.post_message, Changed())


class LayerScreen(Room):
    """One layer: a chart for each metric that it has."""

    name_of = "layers"
    AUTO_FOCUS = "Chart"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "app.pop_screen", "All layers")]

    def __init__(self, layer: str) -> None:
        super().__init__()
        self.about = layer

    def body(self) -> ComposeResult:
        yield Words(wrap=True, id="layer")
        with VerticalScroll(id="of-layer"):
            for i, metric in enumerate(METRICS):
                guide, curve = (GUIDE if metric == "update.ratio" else None), Curve(f"{metric}@{self.about}", "", i % 6)
                yield Chart(describe(metric).title, [curve], guide=guide)

    def look(self, view: View) -> None:
        measured = [series for metric in METRICS if (series := view.series(metric)) and self.about in series.names()]
        notes = measured[0].labels.notes if measured and measured[0].labels else []
        at = measured[0].names().index(self.about) if measured else 0
        self.query_one("#layer", Words).say([(f"{self.about}  {notes[at] if at < len(notes) else ''}", Ink.TITLE)])
        for chart in self.query(Chart):
            there = view.column(chart.curves[0].column) is not None
            if chart.display != there:
                chart.display = there
