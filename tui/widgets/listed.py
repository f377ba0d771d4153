"""Numbers one below the other: with the focus one of them is chosen, and what it means is a key away."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import ScrollableContainer
from textual.events import Click
from textual.geometry import Region

from ..draw.grid import Grid, Ink
from ..messages import About
from ..view import View
from .cells import Cells


class Listed(Cells, can_focus=True):
    """Subclasses say in ``metrics`` what each row is a number of, and call ``choose`` when they have drawn."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Choose", key_display="j k"),
        Binding("up,k", "move(-1)", "Choose up", show=False),
        Binding("i,enter", "about", "About", key_display="i", tooltip="What this number is, and which rules read it"),
    ]

    at = 0
    """The chosen row."""

    @abstractmethod
    def metrics(self, view: View) -> list[str | None]:
        """The column or metric of each row, None of one that has no number."""

    def line(self, row: int) -> int:
        """Where a row is drawn."""
        return row

    def choose(self, view: View, grid: Grid, width: int) -> None:
        """Show which row is chosen, by the first ``width`` cells of it."""
        if self.has_focus:
            self.at = min(max(self.at, self._beside(view, -1, 1)), self._beside(view, grid.height, -1))
            grid.fill(self.at, Ink.SELECTED, 0, width)

    def _beside(self, view: View, row: int, by: int) -> int:
        """The next row with a number, ``row`` itself where there is none."""
        known = self.metrics(view)
        after = range(row + 1, len(known)) if by > 0 else range(min(row, len(known)) - 1, -1, -1)
        return next((i for i in after if known[i] is not None), row)

    def action_move(self, by: int) -> None:
        """To the row beside; beyond the last one what has the focus next."""
        if self.view is None:
            return
        row = self._beside(self.view, self.at, by)
        if row == self.at:
            (self.screen.focus_next if by > 0 else self.screen.focus_previous)()
        else:
            self._take(row)

    def _take(self, row: int) -> None:
        self.at, self._key = row, None
        self.repaint()
        if isinstance(self.parent, ScrollableContainer):  # the list may be taller than the screen
            self.parent.scroll_to_region(Region(0, self.virtual_region.y + self.line(row), 1, 1), animate=False)

    def on_click(self, event: Click) -> None:
        known = self.metrics(self.view) if self.view is not None else []
        row = next((row for row in range(len(known)) if self.line(row) == event.y), None)
        if row is not None and known[row] is not None:
            self._take(row)

    def action_about(self) -> None:
        known: list[Any] = self.metrics(self.view) if self.view is not None else []
        if self.at < len(known) and known[self.at] is not None:
            self.post_message(About(known[self.at]))
