"""The layer table: number and heat in one cell, the worst rows first. Only the rows in sight are drawn."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from textual.binding import Binding, BindingType
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.message import Message

from nnwatch.metric import describe

from ..draw.grid import Grid, Ink
from ..draw.heat import levels
from ..draw.text import number
from ..layers import METRICS, ORDERS, SHARES, Layers, Outline, heat, is_far, layers, listed, outline, with_blocks
from ..messages import About, Changed
from ..view import View
from .cells import Cells
from .layer_sparks import Sparks

_CELL = 10
_NAME = 26
_SPARK = 14


class HeatTable(Cells, can_focus=True):
    """``order`` is one of ORDERS, ``sought`` a part of the names to show; repeated blocks are one row until opened."""

    class Opened(Message):
        """A layer was chosen to look into."""

        def __init__(self, layer: str) -> None:
            super().__init__()
            self.layer = layer

    DEFAULT_CSS = "HeatTable { height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Row", key_display="j k"),
        Binding("up,k", "move(-1)", "Row up", show=False),
        Binding("pagedown", "move(20)", "Page down", show=False),
        Binding("pageup", "move(-20)", "Page up", show=False),
        Binding("g", "move(-1000000)", "First row", show=False),
        Binding("G", "move(1000000)", "Last row", show=False),
        Binding("right,l", "sort(1)", "Sort", key_display="h l", tooltip="Sort by the next column"),
        Binding("left,h", "sort(-1)", "Sort by the column before", show=False),
        Binding("o", "order", "Order", tooltip="Worst first or model order"),
        Binding("enter", "open", "Look into", tooltip="Blocks: show each of them; a layer: its charts"),
        Binding("i", "about", "About", show=False, tooltip="What the sorted metric is, and which rules read it"),
        Binding("f", "fold", "Fold", tooltip="Fold repeated blocks into one row each, or show all layers"),
    ]

    def __init__(self, **names: Any) -> None:
        super().__init__(**names)
        self.order = ORDERS[0]
        self.sought = ""
        self.selected: str | None = None
        self._top = 0
        self._rows: list[int] = []
        self._layers: Layers | None = None
        self._outline: tuple[object, Outline] | None = None
        self._folded = True
        self._opened: set[str] = set()
        self._sparks = Sparks()
        self._titles: dict[str, range] = {}
        """Cells of the heading of each metric."""

    def key(self, view: View) -> Any:
        rows = tuple(row[1] if (row := view.row(name)) is not None else None for name in METRICS)
        fold = self._folded, frozenset(self._opened)
        return id(view.track), rows, self.order, self.sought, self.selected, self._top, fold, view.state.kind

    def draw(self, view: View, grid: Grid) -> None:
        metrics = {metric: found[0] for metric in METRICS if (found := view.row(metric)) is not None}
        if not metrics:
            waiting = view.state.kind in ("opening", "waiting")
            grid.middle(view.state.what if waiting else view.missing("no layer was sampled yet"), Ink.DIM)
            return
        shape = tuple((id(series.labels), series.width) for series in metrics.values())
        if self._outline is None or self._outline[0] != shape:
            self._outline = shape, outline(metrics)
        rows, folds, _, widths = self._outline[1]
        table = layers(view, rows)
        self._layers = table = with_blocks(table, folds) if self._folded else table
        self._rows = listed(table, folds, self.order, self.sought.lower(), self._opened if self._folded else None)
        columns = self._columns(view, grid.width)
        spark = grid.width >= _NAME + _CELL * len(columns) + _SPARK + 1
        name_width = grid.width - _CELL * len(columns) - (_SPARK + 1 if spark else 0)
        if spark:  # a wide screen gives what the names do not need to the sparklines
            name_width = min(name_width, int(widths[self._rows].max(initial=_NAME - 5)) + 5)
        self._header(grid, name_width, columns, spark, len(rows.names))
        if not self._rows:
            grid.put(2, 2, f"no layer has “{self.sought}” in its name", Ink.DIM)
            return
        self._keep_in_sight(table, self._outline[1].row_of, grid.height - 1)
        shown = self._rows[self._top : self._top + grid.height - 1]
        room = grid.width - name_width - _CELL * len(columns) - 2
        if spark:
            area = slice(1, len(shown) + 1), slice(grid.width - room - 1, grid.width - 1)
            grid.codes[area] = self._sparks.draw(view, table, shown, room, self.order)
            grid.inks[area] = Ink.SERIES + 2
        heats = {k: levels(heat(METRICS[k], table.values[:, k])) for k in columns}
        for y, row in enumerate(shown, 1):
            chosen = table.names[row] == self.selected
            if chosen:
                grid.fill(y, Ink.SELECTED, 0, name_width - 1)
            inside = self._folded and row < len(folds.of) and folds.of[row] >= 0
            name = ("  " if inside else "") + table.names[row]
            end = grid.put(0, y, _shortened(name, name_width - 1), Ink.SELECTED if chosen else Ink.TEXT)
            if end + len(table.kinds[row]) + 2 <= name_width - 1:
                grid.put(end + 2, y, table.kinds[row], Ink.SELECTED if chosen else Ink.DIM)
            x = name_width
            for k in columns:
                self._cell(grid, x, y, METRICS[k], table.values[row, k], int(heats[k][row]))
                x += _CELL

    def _columns(self, view: View, width: int) -> list[int]:
        """The metrics that there are and that fit, the sorted one among them."""
        have = [k for k, name in enumerate(METRICS) if view.row(name) is not None]
        room = max((width - _NAME) // _CELL, 1)
        chosen = have[:room]
        wanted = METRICS.index(self.order) if self.order in METRICS else None
        if wanted is not None and wanted in have and wanted not in chosen:
            chosen[-1] = wanted
        return chosen

    def _keep_in_sight(self, table: Layers, row_of: dict[str, int], height: int) -> None:
        row = row_of.get(self.selected or "")
        at = self._rows.index(row) if row in self._rows else 0
        self.selected = table.names[self._rows[at]]
        self._top = min(max(self._top, at - height + 1, 0), at, max(len(self._rows) - height, 0))
        self._top = max(self._top, at - height + 1)

    def _header(self, grid: Grid, name_width: int, columns: list[int], spark: bool, count: int) -> None:
        shown = f"{len(self._rows)} of {count}" if self.sought else f"{count}"
        sought = f" /{self.sought}" if self.sought else ""
        grid.put(
            0,
            0,
            f"{shown} layers, {self.order}{sought}" if self.order not in METRICS else f"{shown} layers{sought}",
            Ink.DIM,
            name_width,
        )
        x, self._titles = name_width, {}
        for k in columns:
            self._titles[METRICS[k]] = range(x, x + _CELL)
            title = describe(METRICS[k]).title.replace("activation ", "act ").removesuffix("/weight")
            mark = "▼" if self.order == METRICS[k] else ""
            grid.right(x + _CELL - 1, 0, f"{mark}{title}"[-_CELL + 1 :], Ink.TITLE if mark else Ink.DIM)
            x += _CELL
        if spark:
            grid.put(x + 1, 0, "over time", Ink.DIM)

    def _cell(self, grid: Grid, x: int, y: int, metric: str, value: float, level: int) -> None:
        if np.isnan(value):
            grid.right(x + _CELL - 1, y, "·", Ink.DIM)
            return
        text = f"{value:.0%}" if metric in SHARES else number(value)
        mark = "!" if is_far(metric, value) else " "
        grid.put(x + 1, y, f"{mark}{text:>{_CELL - 3}}".ljust(_CELL - 1), Ink.HEAT + max(level, 0))

    def detail(self) -> tuple[str, str] | None:
        """Name and kind of the chosen row."""
        if self._layers is None or self.selected not in self._layers.names:
            return None
        return self.selected, self._layers.kinds[self._layers.names.index(self.selected)]

    def action_move(self, by: int) -> None:
        if self._layers is None or not self._rows:
            return
        names = [self._layers.names[row] for row in self._rows]
        at = names.index(self.selected) if self.selected in names else 0
        self.selected = names[min(max(at + by, 0), len(names) - 1)]
        self.post_message(Changed())

    def action_sort(self, by: int) -> None:
        self.order = ORDERS[(ORDERS.index(self.order) + by) % len(ORDERS)]
        self.post_message(Changed())

    def action_order(self) -> None:
        self.order = ORDERS[1] if self.order == ORDERS[0] else ORDERS[0]
        self.post_message(Changed())

    def action_open(self) -> None:
        """Open or close blocks; of a layer, ask for its charts."""
        if self._outline is None or self.selected is None:
            return
        if self.selected in self._outline[1].fold.patterns:
            self._opened ^= {self.selected}
            self.post_message(Changed())
        else:
            self.post_message(self.Opened(self.selected))

    def action_about(self) -> None:
        self.post_message(About(self.order if self.order in METRICS else METRICS[0]))

    def action_fold(self) -> None:
        self._folded = not self._folded
        self._opened.clear()
        self.post_message(Changed())

    def on_click(self, event: Click) -> None:
        row = self._top + event.y - 1
        if event.y == 0:
            self.order = next((metric for metric, cells in self._titles.items() if event.x in cells), self.order)
            self.post_message(Changed())
        if self._layers is not None and event.y > 0 and row < len(self._rows):
            self.selected = self._layers.names[self._rows[row]]
            self.post_message(Changed())

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        self.action_move(3)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        self.action_move(-3)


def _shortened(name: str, width: int) -> str:
    """The end of a long name: that is where layers differ."""
    return name if len(name) <= width else "…" + name[len(name) - width + 1 :]
