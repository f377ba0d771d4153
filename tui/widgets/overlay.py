"""The chart of several runs."""

from __future__ import annotations

from string import ascii_uppercase
from typing import Any, ClassVar

import numpy as np
from textual.binding import Binding, BindingType

from nnwatch.metric import describe

from ..column import Column
from ..draw.grid import Grid, Ink
from ..draw.plot import GUTTER, Line, dots, plot, tick_count
from ..draw.scale import fit, scale
from ..draw.text import number
from ..overlay import ALONG, AXES, METRICS, Run, aligned, shown
from ..view import View
from .explained import Explained

_CHARS = "*o+x#@"
_LOG = 100.0
_SMOOTHING = 0.9


def _letter(place: int) -> str:
    """A, B, C ... as in the comparison; more runs than letters begin anew."""
    return ascii_uppercase[place % len(ascii_uppercase)]


class Overlay(Explained):
    """One curve a run. ``runs`` stay as they were read."""

    DEFAULT_CSS = "Overlay { height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "axis", "Axis", tooltip="Align by step, epoch or time since the start"),
        Binding("t", "metric", "Metric", tooltip="Validation loss, training loss, accuracy, learning rate"),
        Binding("s", "smooth", "Smooth", tooltip="Moving average, or the values as they are"),
    ]

    def __init__(self, runs: list[Run]) -> None:
        super().__init__()
        self.runs = runs
        self.axis = AXES[0]
        self.metric = next((metric for metric in METRICS if any(self._column(run, metric) for run in runs)), METRICS[0])
        self.smooth = True
        self._columns: dict[tuple[int, str, str], Column | None] = {}

    @property
    def about(self) -> str:
        return self.metric

    def _column(self, run: Run, metric: str) -> Column | None:
        return aligned(run, metric, self.axis)

    def key(self, view: View) -> Any:
        return self.axis, self.metric, self.smooth

    def columns(self) -> list[Column | None]:
        """The curve of each run that has one, made once for each metric and axis."""
        for i, run in enumerate(self.runs):
            key = i, self.metric, self.axis
            if key not in self._columns:
                self._columns[key] = self._column(run, self.metric)
        return [self._columns[i, self.metric, self.axis] for i in range(len(self.runs))]

    def draw(self, view: View, grid: Grid) -> None:
        columns = self.columns()
        have = [(i, column) for i, column in enumerate(columns) if column is not None and len(column)]
        x = grid.put(0, 0, f"{describe(self.metric).title} by {ALONG[self.axis]}", Ink.TITLE)
        grid.put(x + 2, 0, f"ema {_SMOOTHING}" if self.smooth and not self._sparse else "", Ink.DIM)
        if have:
            self._curves(view, grid, have)
        else:
            grid.put(0, 2, f"no run has {describe(self.metric).title} by {self.axis}; t and x show others", Ink.DIM)
        for y, (run, column) in enumerate(zip(self.runs, columns, strict=True), grid.height - len(self.runs)):
            there = column is not None and len(column)
            place = y - grid.height + len(self.runs)
            grid.put(0, y, _letter(place) if there else " ", Ink.SERIES + place % len(_CHARS))
            grid.put(2, y, run.name, Ink.TEXT if there else Ink.DIM)
            said = self._numbers(column) if column is not None and len(column) else self._absent
            grid.put(max(GUTTER + 20, 34), y, said, Ink.DIM)

    @property
    def _absent(self) -> str:
        return "not measured" if self.axis == "step" else f"not by {self.axis}"

    @property
    def _sparse(self) -> bool:
        return self.metric.endswith(".val") or self.metric == "lr"

    def _numbers(self, column: Column) -> str:
        values = column.values[np.isfinite(column.values)]
        if not len(values):
            return "no finite value"
        best = values.max() if self.metric.startswith("accuracy") else values.min()
        end = shown(int(column.steps[-1]), self.axis)
        return f"last {number(float(values[-1]))}  best {number(float(best))}  to {end}"

    def _curves(self, view: View, grid: Grid, have: list[tuple[int, Column]]) -> None:
        height = grid.height - len(self.runs) - 1
        if height < 4:
            return
        part = Grid(grid.width, height + 1)
        first = min(int(column.steps[0]) for _, column in have)
        last = max(int(column.steps[-1]) for _, column in have)
        x = fit(first, max(last, first + 1), dots(grid.width, view.symbols))
        lines = []
        for i, column in have:
            drawn = column.smoothed(_SMOOTHING) if self.smooth and not self._sparse else column
            series = i % len(_CHARS)
            line = Line(drawn.extremes(x.edges()), Ink.SERIES + series, _CHARS[series], False, self._sparse, _letter(i))
            lines.append(line)
        low = min(float(np.nanmin(line.extremes.low)) for line in lines)
        high = max(float(np.nanmax(line.extremes.high)) for line in lines)
        y = scale("log" if low > 0 and high > _LOG * low else "linear", low, high)
        ticks = [(x.column(value), shown(value, self.axis)) for value in x.ticks(tick_count(grid.width))]
        plot(part, lines, ticks, y, symbols=view.symbols)
        grid.codes[1 : height + 1], grid.inks[1 : height + 1] = part.codes[1:], part.inks[1:]

    def action_axis(self) -> None:
        self.axis = AXES[(AXES.index(self.axis) + 1) % len(AXES)]
        self.repaint()

    def action_metric(self) -> None:
        self.metric = METRICS[(METRICS.index(self.metric) + 1) % len(METRICS)]
        self.repaint()

    def action_smooth(self) -> None:
        self.smooth = not self.smooth
        self.repaint()
