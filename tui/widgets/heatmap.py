"""Softmax confidence over time: a histogram a column, as heat; beside it the histogram of the moment."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnwatch.metric import CONFIDENCE_BINS

from ..axis import Axis
from ..calibration import reading, recent
from ..draw.grid import Grid, Ink
from ..draw.heat import levels
from ..draw.plot import GUTTER, tick_count
from ..view import View
from .browsed import Browsed

_NOW = 24
_NOW_FROM = 64


def over_time(counts: Any, steps: Any, x: Axis) -> NDArray[np.float64]:
    """Shares (bins, columns) of the bins in each column; a column without records repeats the one before it,
    NaN before the first and behind the last record."""
    at = np.searchsorted(steps, x.edges())
    shares = np.full((counts.shape[1], x.columns), np.nan)
    filled = np.flatnonzero(at[1:] > at[:-1])
    if len(filled) == 0:
        return shares
    sums = np.add.reduceat(counts[: at[-1]], at[filled], axis=0).astype(np.float64)
    sums /= np.maximum(sums.sum(axis=1, keepdims=True), 1e-12)
    columns = np.arange(filled[0], filled[-1] + 1)
    shares[:, columns] = sums[np.searchsorted(filled, columns, side="right") - 1].T
    return shares


class Confidence(Browsed):
    """The metric holds counts per bin: CONFIDENCE_BINS of wrong predictions, then as many of right ones."""

    DEFAULT_CSS = "Confidence { height: 1fr; }"
    axis_from = 5

    def __init__(self, metric: str, title: str, missing: str, **names: Any) -> None:
        super().__init__(**names)
        self.metric = metric
        self.title = title
        self.missing = missing

    @property
    def about(self) -> str:
        return self.metric

    def columns_of_cell(self, view: View) -> int:
        return 1

    def key(self, view: View) -> Any:
        series, lens = view.series(self.metric), view.lens
        return (
            id(series),
            len(series) if series else 0,
            view.until,
            view.seen,
            lens.span,
            lens.right,
            lens.clock,
            view.state.kind,
        )

    def draw(self, view: View, grid: Grid) -> None:
        series = view.series(self.metric)
        shown = series.until(view.until) if series is not None else 0
        x = grid.put(0, 0, self.title, self.title_ink)
        self.axis = None
        if series is None or not shown or series.width != 2 * CONFIDENCE_BINS:
            if view.state.kind in ("opening", "waiting"):
                text = view.state.what
            elif view.until is not None and series is not None:
                text = "not yet"
            else:
                text = view.missing(self.missing)
            grid.middle(text, Ink.DIM)
            return
        now = recent(series, shown)
        grid.put(x + 2, 0, reading(now), Ink.TEXT)
        rows = next((n for n in (20, 10, 5, 4, 2) if n <= grid.height - 2), 0)
        now_width = _NOW if grid.width >= _NOW_FROM else 0
        width = grid.width - self.axis_from - now_width
        if not rows or width < 4:
            return
        until = series.until(view.seen)
        first = int(view.timeline.steps[0]) if len(view.timeline.steps) else 0
        self.axis = axis = view.axis(min(first, view.seen), view.seen, width)
        counts = series.values[:until]
        both = counts[:, :CONFIDENCE_BINS] + counts[:, CONFIDENCE_BINS:]
        shares = over_time(both, series.steps[:until], axis)
        shares = shares.reshape(rows, CONFIDENCE_BINS // rows, width).sum(axis=1)
        tall = max((grid.height - 2) // rows, 1)
        level = np.repeat(levels(np.sqrt(shares / max(float(np.nanmax(shares, initial=0)), 1e-12)))[::-1], tall, axis=0)
        area = grid.inks[1 : 1 + rows * tall, self.axis_from : self.axis_from + width]
        area[level >= 0] = Ink.HEAT + level[level >= 0]
        self._axes(grid, rows * tall, width, axis)
        if view.moment.standing and view.step < view.seen and 0 <= (column := axis.column(view.step)) < width:
            grid.codes[1 : 1 + rows * tall, self.axis_from + column] = ord("│")
        if now_width:
            self._now(grid, now, rows, tall)

    def _axes(self, grid: Grid, height: int, width: int, x: Axis) -> None:
        for row, label in ((1, "1"), (1 + height // 2, "0.5"), (height, "0"))[:: 1 if height > 2 else 2]:
            grid.right(self.axis_from - 1, row, label, Ink.DIM)
        y = height + 1
        grid.put(self.axis_from, y, "─" * width, Ink.DIM)
        end = self.axis_from
        for column, text in x.ticks(tick_count(width + GUTTER)):
            start = max(self.axis_from + column - len(text) // 2, self.axis_from)
            if start >= end and start + len(text) <= self.axis_from + width:
                end = grid.put(start, y, text, Ink.DIM) + 2

    def _now(self, grid: Grid, counts: NDArray[np.float64], rows: int, tall: int) -> None:
        """Bars of the right (solid) and wrong (hatched) predictions of the moment."""
        wrong, right = counts.reshape(2, rows, -1).sum(axis=2)[:, ::-1]
        x, room = grid.width - _NOW + 2, _NOW - 2
        most = max(float((wrong + right).max()), 1e-12)
        for row in range(rows):
            good, bad = round(right[row] / most * room), round(wrong[row] / most * room)
            for line in range(tall):
                y = 1 + row * tall + line
                end = grid.put(x, y, "█" * good, Ink.SERIES)
                grid.put(end, y, "▒" * min(bad, room - good), Ink.SERIES + 1)
        y = rows * tall + 1
        end = grid.put(x, y, "█ right", Ink.SERIES)
        grid.put(end + 2, y, "▒ wrong", Ink.SERIES + 1)
