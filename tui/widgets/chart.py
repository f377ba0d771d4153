"""The chart: curves of columns over steps, with a cursor that is the moment shown everywhere."""

from __future__ import annotations

from operator import is_not
from typing import Any, ClassVar

import numpy as np
from textual.binding import Binding, BindingType

from ..axis import Axis, whole
from ..column import Column
from ..curves import Curve, baselines
from ..draw.clock import date
from ..draw.grid import Grid, Ink
from ..draw.plot import Line, Window, dots, plot, tick_count
from ..draw.pyramid import Extremes
from ..draw.scale import KINDS, Kind, Scale, scale
from ..draw.text import number
from ..messages import Changed
from ..view import View
from .browsed import Browsed
from .marks import marks

_AUTO_LOG = 100.0
"""Data that span more than this factor are shown on a log axis until the user chooses."""

_BANDED = 2
"""Curves with a raw band behind them: behind more of them bands only cover each other."""


class Chart(Browsed):
    """``kind`` None: linear, or log where the data ask for it. ``guide`` is a reference to draw a line at."""

    DEFAULT_CSS = "Chart { height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "scale", "Log", tooltip="Linear, log or symlog axis"),
        Binding("s", "smooth", "Smooth", show=False, tooltip="Moving average: none, 0.8, 0.9, 0.99, 0.999"),
        Binding("r", "band", "Raw band", show=False, tooltip="Show the raw values behind the average"),
    ]

    def __init__(
        self,
        title: str,
        curves: list[Curve],
        *,
        kind: Kind | None = None,
        guide: float | None = None,
        missing: str = "not measured",
        **names: Any,
    ) -> None:
        super().__init__(**names)
        self.title = title
        self.curves = curves
        self.kind: Kind | None = kind
        self.guide = guide
        self.window: tuple[int, int] | None = None
        """Steps to look at closely and mark, with about as much around them; None: what the lens shows."""
        self.missing = missing
        self._scale: Scale | None = None
        self._plot: tuple[Any, list[Extremes], Grid] | None = None
        """What the curves were last drawn from, and the drawing: most new points change the legend alone."""

    def plan(
        self, title: str, curves: list[Curve], guide: float | None = None, window: tuple[int, int] | None = None
    ) -> None:
        """Show something else from now on."""
        if (title, curves, guide, window) != (self.title, self.curves, self.guide, self.window):
            self.title, self.curves, self.guide, self.window = title, curves, guide, window
            self._scale = None
            self.repaint()

    @property
    def about(self) -> str:
        return self.curves[0].column

    def key(self, view: View) -> Any:
        lens = view.lens
        columns = tuple(self._stamp(view.column(curve.column), view) for curve in self.curves)
        look = lens.stretch, lens.smoothing, lens.chosen, lens.band, self.kind
        track = id(view.track)
        return (
            track,
            columns,
            (view.moment.standing and view.step, view.seen) if any(columns) else view.seen < view.head,
            len(view.stretches),
            look,
            self.title,
            self.curves,
            self.window,
            self.guide,
            len(view.history.finding_log),
            view.state.kind,
            "" if any(columns) else view.last_line(),
        )

    def _stamp(self, column: Column | None, view: View) -> Any:
        """Changes when the part of the column that is shown does."""
        return (id(column), column.until(view.seen), column.at(view.step)) if column is not None else None

    def draw(self, view: View, grid: Grid) -> None:
        have = [curve for curve in self.curves if self._seen(curve, view)]
        if not have:
            self.axis = self._scale = None
            self._legend(view, grid, have)
            self._empty(view, grid)
            return
        columns = [column for curve in have if (column := view.column(curve.column)) is not None]
        first = min((int(column.steps[0]) for column in columns), default=view.seen)
        self.axis = x = self._stretch(view, min(first, view.seen), dots(grid.width, view.symbols))
        lines = [line for curve in have for line in self._lines(curve, x, view)]
        limits = self._limits(lines)
        self._scale = scale(self.kind or self._fitting(*limits), *limits, self._scale)
        self._legend(view, grid, have)
        standing = (view.until is not None and view.step < view.seen) or view.moment.standing
        now = x.column(view.step) if standing else None
        self._curves(
            grid,
            lines,
            x.ticks(tick_count(grid.width)),
            self._scale,
            symbols=view.symbols,
            marks=marks(view, x),
            guides=self._guides(view),
            window=self._marked(x),
            cursor=now,
            now=now,
            pauses=x.pauses(),
        )

    def _guides(self, view: View) -> list[tuple[float, str]]:
        """References to draw a line at: the chart's own, else the baselines that an earlier check measured."""
        if self.guide is not None:
            return [(self.guide, "reference" if self.window else "guide")]
        return baselines(view.facts, self.curves[0].column) if self.curves and self.window is None else []

    def _seen(self, curve: Curve, view: View) -> bool:
        """Whether something of a curve is to be seen, in this segment or, on the clock, in another."""
        return any(part.track is not view.track or column.until(view.seen) for part, column in view.parts(curve.column))

    def _stretch(self, view: View, first: int, count: int) -> Axis:
        if self.window is None:
            return view.axis(first, view.seen, count)
        begin, end = self.window
        around = max((end - begin) // 2, 10)
        last = max(min(end + around, view.seen), begin + 1)
        return whole(view.lens, view.timeline, max(begin - around, first), last, count)

    def _marked(self, x: Axis) -> Window | None:
        """The window on the axis."""
        if self.window is None:
            return None
        begin, end = self.window
        return Window(x.column(begin), x.column(end), x.name(begin), x.name(end))

    def _curves(self, grid: Grid, lines: list[Line], *frame: Any, pauses: Any, **signs: Any) -> None:
        """What is below the legend, copied where it is what was drawn last."""
        key = (grid.width, grid.height, [line[1:] for line in lines], frame, signs, pauses.tobytes())
        drawn = [line.extremes for line in lines]
        if self._plot is None or self._plot[0] != key or any(map(is_not, self._plot[1], drawn)):
            fresh = Grid(grid.width, grid.height)
            plot(fresh, lines, *frame, pauses=pauses, **signs)
            self._plot = key, drawn, fresh
        grid.codes[1:], grid.inks[1:] = self._plot[2].codes[1:], self._plot[2].inks[1:]

    def _lines(self, curve: Curve, x: Axis, view: View) -> list[Line]:
        """The raw band below and the moving average above, or the raw curve alone."""
        raw = view.extremes(curve.column, x, view.seen)
        weight = self._weight(view, [curve])
        ink = Ink.SERIES + curve.series
        if weight is None:
            return [Line(raw, ink, curve.char, curve.dashed, curve.points, curve.letter)]
        average = view.extremes(curve.column, x, view.seen, weight)
        line = Line(average, ink, curve.char, curve.dashed, letter=curve.letter)
        banded = view.lens.band and len(self.curves) <= _BANDED
        return [Line(raw, Ink.BAND + curve.series, "."), line] if banded else [line]

    def _limits(self, lines: list[Line]) -> tuple[float, float]:
        low = np.fmin.reduce([np.fmin.reduce(line.extremes.low) for line in lines])
        high = np.fmax.reduce([np.fmax.reduce(line.extremes.high) for line in lines])
        if np.isnan(low):
            return 0.0, 1.0
        guide = low if self.guide is None else self.guide
        return float(min(low, guide)), float(max(high, guide))

    def _fitting(self, low: float, high: float) -> Kind:
        return "log" if low > 0 and high > _AUTO_LOG * low else "linear"

    def _legend(self, view: View, grid: Grid, have: list[Curve]) -> None:
        x = grid.put(0, 0, self.title, self.title_ink)
        for curve in have:
            column = view.column(curve.column)
            value = number(column.at(view.step) if column is not None else None, 4)
            if x + 6 + len(curve.label) + len(value) > grid.width:
                break
            x = grid.put(x + 2, 0, "╍" if curve.dashed else "━", Ink.SERIES + curve.series)
            x = grid.put(x + 1, 0, curve.label, Ink.SERIES + curve.series) if curve.label else x
            x = grid.put(x + 1, 0, value, Ink.TEXT)
        notes = [f"ema {weight:g}" for weight in {self._weight(view, have)} if weight is not None]
        if self._scale is not None and have and self._scale.kind != "linear":
            notes.append(self._scale.kind)
        if view.lens.clock and have:
            notes.append(date(view.time))
        if view.lens.span is not None:
            notes.append("zoomed")
        note = " · ".join(notes)
        if x + 2 + len(note) <= grid.width:
            grid.right(grid.width, 0, note, Ink.DIM)

    def _weight(self, view: View, have: list[Curve]) -> float | None:
        """Of the moving average: by the longest segment."""
        for curve in have:
            if curve.smooth:
                return view.lens.weight(max(len(column) for _, column in view.parts(curve.column)))
        return None

    def _empty(self, view: View, grid: Grid) -> None:
        """Why there is nothing, in the middle of the chart."""
        waiting = view.state.kind in ("opening", "waiting")
        text = view.last_line() if waiting else "not yet" if view.seen < view.head else view.missing(self.missing)
        grid.middle(text, Ink.DIM, max((grid.width - len(text)) // 2, 2))

    def action_scale(self) -> None:
        now = self.kind or (self._scale.kind if self._scale is not None else "linear")
        self.kind = KINDS[(KINDS.index(now) + 1) % len(KINDS)]
        self._scale = None
        self.post_message(Changed())

    def action_smooth(self) -> None:
        if self.view is not None:
            self.view.lens.next_smoothing()
            self.post_message(Changed())

    def action_band(self) -> None:
        if self.view is not None:
            self.view.lens.band = not self.view.lens.band
            self.post_message(Changed())
