"""The chart: curves of columns over steps, with a cursor that is the moment shown everywhere."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from textual.binding import Binding, BindingType
from textual.events import Click, MouseScrollDown, MouseScrollUp

from ..column import Column
from ..curves import Curve
from ..draw.grid import Grid, Ink
from ..draw.plot import GUTTER, Line, dots, plot
from ..draw.raster import DOTS
from ..draw.scale import KINDS, Buckets, Kind, Scale, fit, scale
from ..draw.text import number
from ..messages import About, Changed
from ..view import View
from .cells import Cells
from .marks import marks, since_start

_AUTO_LOG = 100.0
"""Data that span more than this factor are shown on a log axis until the user chooses."""

_BANDED = 2
"""Curves with a raw band behind them: behind more of them bands only cover each other."""


class Chart(Cells, can_focus=True):
    """``kind`` None: linear, or log where the data ask for it. ``guide`` is a reference to draw a line at."""

    DEFAULT_CSS = "Chart { height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "left,h", "move(-1)", "Cursor", key_display="h l", tooltip="Move the cursor: every pane shows that moment"
        ),
        Binding("right,l", "move(1)", "Cursor right", show=False),
        Binding("shift+left,H", "pan(-0.25)", "Pan left", show=False),
        Binding("shift+right,L", "pan(0.25)", "Pan right", show=False),
        Binding("plus,equals_sign", "zoom(0.5)", "Zoom", key_display="+ - 0", tooltip="Zoom in, out, show all"),
        Binding("minus", "zoom(2.0)", "Zoom out", show=False),
        Binding("0", "fit", "Show all steps", show=False),
        Binding("y", "scale", "Log", tooltip="Linear, log or symlog axis"),
        Binding("s", "smooth", "Smooth", show=False, tooltip="Moving average: none, 0.8, 0.9, 0.99, 0.999"),
        Binding("x", "clock", "Time axis", show=False, tooltip="Steps or time since the start along the axis"),
        Binding("i", "about", "About", show=False, tooltip="What this metric is, and which rules read it"),
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
        self._buckets: Buckets | None = None
        self._scale: Scale | None = None
        self._plot: tuple[Any, Grid] | None = None
        """What the curves were last drawn from, and the drawing: most new points change the legend alone."""

    def plan(
        self, title: str, curves: list[Curve], guide: float | None = None, window: tuple[int, int] | None = None
    ) -> None:
        """Show something else from now on."""
        if (title, curves, guide, window) != (self.title, self.curves, self.guide, self.window):
            self.title, self.curves, self.guide, self.window = title, curves, guide, window
            self._scale = None
            self.repaint()

    def key(self, view: View) -> Any:
        lens = view.lens
        columns = tuple(self._stamp(view.column(curve.column), view) for curve in self.curves)
        look = lens.span, lens.right, lens.smoothing, lens.chosen, lens.band, lens.clock, self.kind
        track = id(view.track)
        return (
            track,
            columns,
            view.moment.standing and view.step,
            view.seen,
            look,
            self.title,
            self.curves,
            self.window,
            self.guide,
            len(view.history.finding_log),
            view.state.kind,
        )

    def _stamp(self, column: Column | None, view: View) -> Any:
        """Changes when the part of the column that is shown does."""
        return (id(column), column.until(view.seen), column.at(view.step)) if column is not None else None

    def draw(self, view: View, grid: Grid) -> None:
        have = [(curve, column) for curve in self.curves if (column := view.column(curve.column)) is not None]
        have = [(curve, column) for curve, column in have if column.until(view.seen)]
        if not have:
            self._buckets = self._scale = None
            self._legend(view, grid, have)
            self._empty(view, grid)
            return
        first = min(int(column.steps[0]) for _, column in have)
        self._buckets = x = self._stretch(view, min(first, view.seen), dots(grid.width, view.symbols))
        lines = [line for curve, column in have for line in self._lines(curve, column, x, view)]
        limits = self._limits(lines)
        self._scale = scale(self.kind or self._fitting(*limits), *limits, self._scale)
        self._legend(view, grid, have)
        standing = (view.until is not None and view.step < view.seen) or view.moment.standing
        self._curves(
            grid,
            lines,
            x,
            self._scale,
            symbols=view.symbols,
            marks=marks(view, x),
            label=since_start(view) if view.lens.clock else None,
            guide=self.guide,
            guide_word="reference" if self.window else "guide",
            window=self.window,
            cursor=view.step if standing else None,
            now=view.step if standing else None,
        )

    def _stretch(self, view: View, first: int, count: int) -> Buckets:
        if self.window is None:
            return view.lens.buckets(first, view.seen, count)
        begin, end = self.window
        around = max((end - begin) // 2, 10)
        return fit(max(begin - around, first), max(min(end + around, view.seen), begin + 1), count)

    def _curves(self, grid: Grid, lines: list[Line], *frame: Any, **signs: Any) -> None:
        """What is below the legend, copied where it is what was drawn last."""
        parts = [
            (line.extremes.low.tobytes(), line.extremes.high.tobytes(), line.extremes.bad.tobytes()) for line in lines
        ]
        key = (grid.width, grid.height, parts, [line[1:] for line in lines], frame, signs)
        if self._plot is None or self._plot[0] != key:
            fresh = Grid(grid.width, grid.height)
            plot(fresh, lines, *frame, **signs)
            self._plot = key, fresh
        grid.codes[1:], grid.inks[1:] = self._plot[1].codes[1:], self._plot[1].inks[1:]

    def _lines(self, curve: Curve, column: Column, x: Buckets, view: View) -> list[Line]:
        """The raw band below and the moving average above, or the raw curve alone."""
        until = column.until(view.seen)
        edges = x.edges()
        raw = column.extremes(edges, until)
        weight = view.lens.weight(len(column)) if curve.smooth else None
        ink = Ink.SERIES + curve.series
        if weight is None:
            return [Line(raw, ink, curve.char, curve.dashed, curve.points)]
        smooth = column.smoothed(weight).extremes(edges, until)
        line = Line(smooth, ink, curve.char, curve.dashed)
        banded = view.lens.band and len(self.curves) <= _BANDED
        return [Line(raw, Ink.BAND + curve.series, "."), line] if banded else [line]

    def _limits(self, lines: list[Line]) -> tuple[float, float]:
        low = [float(np.nanmin(line.extremes.low)) for line in lines if not np.isnan(line.extremes.low).all()]
        high = [float(np.nanmax(line.extremes.high)) for line in lines if not np.isnan(line.extremes.high).all()]
        if self.guide is not None and low:
            low.append(self.guide)
            high.append(self.guide)
        return (min(low), max(high)) if low else (0.0, 1.0)

    def _fitting(self, low: float, high: float) -> Kind:
        return "log" if low > 0 and high > _AUTO_LOG * low else "linear"

    def _legend(self, view: View, grid: Grid, have: list[tuple[Curve, Column]]) -> None:
        x = grid.put(0, 0, self.title, Ink.SELECTED if self.has_focus else Ink.TITLE)
        for curve, column in have:
            value = number(column.at(view.step), 4)
            if x + 6 + len(curve.label) + len(value) > grid.width:
                break
            x = grid.put(x + 2, 0, "╍" if curve.dashed else "━", Ink.SERIES + curve.series)
            x = grid.put(x + 1, 0, curve.label, Ink.SERIES + curve.series) if curve.label else x
            x = grid.put(x + 1, 0, value, Ink.TEXT)
        notes = [f"ema {weight:g}" for weight in {self._weight(view, have)} if weight is not None]
        if self._scale is not None and have and self._scale.kind != "linear":
            notes.append(self._scale.kind)
        if view.lens.clock:
            notes.append("time")
        if view.lens.span is not None:
            notes.append("zoomed")
        note = " · ".join(notes)
        if x + 2 + len(note) <= grid.width:
            grid.right(grid.width, 0, note, Ink.DIM)

    def _weight(self, view: View, have: list[tuple[Curve, Column]]) -> float | None:
        return next((view.lens.weight(len(column)) for curve, column in have if curve.smooth), None)

    def _empty(self, view: View, grid: Grid) -> None:
        """Why there is nothing, in the middle of the chart."""
        waiting = view.state.kind in ("opening", "waiting")
        text = view.last_line() if waiting else "not yet" if view.seen < view.head else self.missing
        row = grid.height // 2
        grid.put(max((grid.width - len(text)) // 2, 0), row, text, Ink.DIM)

    def action_move(self, cells: int) -> None:
        """Move the cursor so many cells: that moment is shown."""
        if self.view is None or self._buckets is None:
            return
        view, x = self.view, self._buckets
        wide = x.step * DOTS[view.symbols][0]
        target = (np.floor(view.step / wide + 1e-9) + cells + 1) * wide - 1e-6
        step = view.timeline.at_or_before(target)
        if step == view.step or (step > view.step) != (cells > 0):
            step = view.timeline.beside(view.step, cells)
        self._go(view, step)

    def _go(self, view: View, step: int) -> None:
        view.moment.go(step, view.timeline)
        self.post_message(Changed())

    def on_click(self, event: Click) -> None:
        if self.view is None or self._buckets is None or event.x < GUTTER:
            return
        across = DOTS[self.view.symbols][0]
        edge = (self._buckets.start + (event.x - GUTTER + 1) * across) * self._buckets.step
        self._go(self.view, self.view.timeline.at_or_before(edge - 1e-6))

    def action_pan(self, share: float) -> None:
        if self.view is not None:
            self.view.lens.pan(share, *self._whole(self.view))
            self.post_message(Changed())

    def action_zoom(self, factor: float) -> None:
        if self.view is not None:
            self.view.lens.zoom(factor, self.view.step, *self._whole(self.view))
            self.post_message(Changed())

    def _whole(self, view: View) -> tuple[int, int]:
        return (int(view.timeline.steps[0]) if len(view.timeline.steps) else 0), view.seen

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        self.action_zoom(0.5)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        self.action_zoom(2.0)

    def action_fit(self) -> None:
        if self.view is not None:
            self.view.lens.fit()
            self.post_message(Changed())

    def action_scale(self) -> None:
        now = self.kind or (self._scale.kind if self._scale is not None else "linear")
        self.kind = KINDS[(KINDS.index(now) + 1) % len(KINDS)]
        self._scale = None
        self.post_message(Changed())

    def action_smooth(self) -> None:
        if self.view is not None:
            self.view.lens.next_smoothing()
            self.post_message(Changed())

    def action_clock(self) -> None:
        if self.view is not None:
            self.view.lens.clock = not self.view.lens.clock
            self.post_message(Changed())

    def action_about(self) -> None:
        self.post_message(About(self.curves[0].column.partition("@")[0]))

    def action_band(self) -> None:
        if self.view is not None:
            self.view.lens.band = not self.view.lens.band
            self.post_message(Changed())
