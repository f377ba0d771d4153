"""The layer table: number and heat in one cell, the worst rows first. Only the rows in sight are drawn."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from textual.binding import Binding, BindingType
from textual.events import Click, MouseScrollDown, MouseScrollUp

from nnwatch.metric import describe

from ..draw.grid import Grid, Ink
from ..draw.heat import levels
from ..draw.pyramid import Pyramid
from ..draw.scale import fit, scale
from ..draw.sparkline import sparkline
from ..draw.text import number
from ..layers import METRICS, Index, Layers, heat, index, is_far, layers
from ..messages import Changed
from ..view import View
from .cells import Cells

_CELL = 10
_NAME = 26
_SPARK = 14
ORDERS = ("worst first", "model order", *METRICS)


class HeatTable(Cells, can_focus=True):
    """``order`` is one of ORDERS, ``sought`` a part of the names to show."""

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
    ]

    def __init__(self, **names: Any) -> None:
        super().__init__(**names)
        self.order = ORDERS[0]
        self.sought = ""
        self.selected: str | None = None
        self._top = 0
        self._rows: list[int] = []
        self._layers: Layers | None = None
        self._index: tuple[object, Index] | None = None
        self._pyramids: dict[str, tuple[int, Pyramid]] = {}

    def key(self, view: View) -> Any:
        rows = tuple(row[1] if (row := view.row(name)) is not None else None for name in METRICS)
        return id(view.track), rows, self.order, self.sought, self.selected, self._top, view.state.kind

    def draw(self, view: View, grid: Grid) -> None:
        metrics = {metric: found[0] for metric in METRICS if (found := view.row(metric)) is not None}
        if not metrics:
            waiting = view.state.kind in ("opening", "waiting")
            grid.put(2, grid.height // 2, view.state.what if waiting else "no layer was sampled yet", Ink.DIM)
            return
        shape = tuple((id(series.labels), series.width) for series in metrics.values())
        if self._index is None or self._index[0] != shape:
            self._index = shape, index(metrics)
        self._layers = table = layers(view, self._index[1])
        self._rows = self._sorted(table)
        columns = self._columns(view, grid.width)
        spark = grid.width >= _NAME + _CELL * len(columns) + _SPARK + 1
        name_width = grid.width - _CELL * len(columns) - (_SPARK + 1 if spark else 0)
        if spark:  # a wide screen gives what the names do not need to the sparklines
            longest = max(len(name) + len(kind) + 5 for name, kind in zip(table.names, table.kinds, strict=True))
            name_width = min(name_width, max(longest, _NAME))
        self._header(grid, name_width, columns, spark, len(table.names))
        if not self._rows:
            grid.put(2, 2, f"no layer has “{self.sought}” in its name", Ink.DIM)
            return
        self._keep_in_sight(table, grid.height - 1)
        shown = self._rows[self._top : self._top + grid.height - 1]
        room = grid.width - name_width - _CELL * len(columns) - 2
        sparks = self._sparks(view, table, shown, room) if spark else [""] * len(shown)
        heats = {k: levels(heat(METRICS[k], table.values[:, k])) for k in columns}
        for y, (row, line) in enumerate(zip(shown, sparks, strict=True), 1):
            chosen = table.names[row] == self.selected
            if chosen:
                grid.fill(y, Ink.SELECTED, 0, name_width - 1)
            end = grid.put(0, y, _shortened(table.names[row], name_width - 1), Ink.SELECTED if chosen else Ink.TEXT)
            if end + len(table.kinds[row]) + 2 <= name_width - 1:
                grid.put(end + 2, y, table.kinds[row], Ink.SELECTED if chosen else Ink.DIM)
            x = name_width
            for k in columns:
                self._cell(grid, x, y, METRICS[k], table.values[row, k], int(heats[k][row]))
                x += _CELL
            grid.put(x + 1, y, line, Ink.SERIES + 2)

    def _columns(self, view: View, width: int) -> list[int]:
        """The metrics that there are and that fit, the sorted one among them."""
        have = [k for k, name in enumerate(METRICS) if view.row(name) is not None]
        room = max((width - _NAME) // _CELL, 1)
        chosen = have[:room]
        wanted = METRICS.index(self.order) if self.order in METRICS else None
        if wanted is not None and wanted in have and wanted not in chosen:
            chosen[-1] = wanted
        return chosen

    def _sorted(self, table: Layers) -> list[int]:
        rows = [i for i, name in enumerate(table.names) if self.sought.lower() in name.lower()]
        if self.order == "worst first":
            return sorted(rows, key=lambda i: -table.badness[i])
        if self.order in METRICS:
            values = table.values[:, METRICS.index(self.order)]
            return sorted(rows, key=lambda i: -values[i] if values[i] == values[i] else np.inf)
        return rows

    def _keep_in_sight(self, table: Layers, height: int) -> None:
        names = [table.names[row] for row in self._rows]
        at = names.index(self.selected) if self.selected in names else 0
        self.selected = names[at]
        self._top = min(max(self._top, at - height + 1, 0), at, max(len(names) - height, 0))
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
        x = name_width
        for k in columns:
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
        grid.inks[y, x + 1 : x + _CELL] = Ink.HEAT + max(level, 0)
        text = f"{value:.0%}" if metric in ("act.dead", "act.saturated") else number(value)
        grid.right(x + _CELL - 1, y, text, Ink.HEAT + max(level, 0))
        if is_far(metric, value):
            grid.put(x + 1, y, "!", Ink.HEAT + max(level, 0))

    def _sparks(self, view: View, table: Layers, rows: list[int], cells: int) -> list[str]:
        """Sparklines of the sorted metric, or of a row's first one."""
        wanted = METRICS.index(self.order) if self.order in METRICS else None
        curves: dict[int, Any] = {}
        lines = []
        for row in rows:
            k = wanted if wanted is not None else int(np.argmax(table.place[row] >= 0))
            column = int(table.place[row, k])
            if column < 0:
                lines.append("")
                continue
            if k not in curves:
                curves[k] = self._extremes(view, METRICS[k], cells)
            high = curves[k][:, column]
            good = high[np.isfinite(high)]
            if not len(good):
                lines.append("")
                continue
            log = good.min() > 0 and METRICS[k] not in ("act.dead", "act.saturated", "act.mean")
            limits = (
                (0.0, 1.0) if METRICS[k] in ("act.dead", "act.saturated") else (float(good.min()), float(good.max()))
            )
            lines.append(sparkline(scale("log" if log else "linear", *limits).share(high)))
        return lines

    def _extremes(self, view: View, metric: str, cells: int) -> Any:
        """Largest values of all columns of a metric in each of the sparkline's columns."""
        found = view.row(metric)
        assert found is not None
        series, row = found
        if self._pyramids.get(metric, (0,))[0] != id(series):
            self._pyramids[metric] = id(series), Pyramid()
        pyramid = self._pyramids[metric][1]
        pyramid.update(series.values)
        x = fit(int(series.steps[0]), int(series.steps[row]), cells)
        edges = np.searchsorted(series.steps[: row + 1], x.edges(), side="left")
        return pyramid.query(series.values, edges).high

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

    def on_click(self, event: Click) -> None:
        row = self._top + event.y - 1
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
