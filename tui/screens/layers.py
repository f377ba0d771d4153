"""Screen 2: every layer."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from ..draw.grid import Ink
from ..view import View
from ..widgets.heat_table import HeatTable
from .ask import Ask
from .room import Room, Words


class LayersScreen(Room):
    """The layer table, and below it the whole name of the chosen one."""

    name_of = "layers"
    AUTO_FOCUS = "HeatTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "slash", "filter", "Filter", key_display="/", tooltip="Show the layers with these letters in their name"
        ),
        Binding("escape", "clear", "Show all layers", show=False),
    ]

    def body(self) -> ComposeResult:
        yield HeatTable()
        yield Words(id="layer")

    def look(self, view: View) -> None:
        found = self.query_one(HeatTable).detail()
        text = f"{found[0]}  {found[1]}" if found else ""
        note = "   ! is far from usual (update/weight 1e-4 to 1e-2), not yet a finding" if found else ""
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
