"""Cells over an axis of steps: the cursor is the moment shown everywhere, zoom and pan change what all charts show."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Click, MouseDown, MouseMove, MouseScrollDown, MouseScrollUp, MouseUp

from ..axis import Axis, ClockAxis
from ..draw.plot import GUTTER
from ..draw.raster import DOTS
from ..messages import Changed
from ..segments import beside
from ..view import View
from .explained import BESIDE, Explained


class Browsed(Explained, inherit_bindings=False):
    """Subclasses set ``axis`` when they draw, None where they have none."""

    ALLOW_SELECT = False  # to drag is to pan
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
        *BESIDE,
        Binding("i", "about", "About", show=False, tooltip="What this metric is, and which rules read it"),
        Binding("x", "clock", "Time axis", show=False, tooltip="Steps, or the time on the clock, along the charts"),
    ]

    axis_from: ClassVar[int] = GUTTER
    """Cells left of the axis."""
    axis: Axis | None = None
    _dragged: int | None = None
    """Where the mouse was last while its button is held."""
    _panned = False
    """Whether it moved meanwhile, so that this was no click."""

    def columns_of_cell(self, view: View) -> int:
        """Columns of the axis in one cell."""
        return DOTS[view.symbols][0]

    def action_move(self, cells: int) -> None:
        """Move the cursor so many cells: that moment is shown."""
        if self.view is None or self.axis is None:
            return
        view = self.view
        now = view.moment.at(view.timeline)
        cell = self.axis.column(now) // self.columns_of_cell(view) + cells
        if self._entered(cell, cells > 0, view):
            return
        step = self._last_step(cell, view)
        if step is None or step == now or (step > now) != (cells > 0):
            step = view.timeline.beside(now, cells)
        self._go(step, view)

    def _entered(self, cell: int, forward: bool, view: View) -> bool:
        """Whether another segment lies at a cell of the clock or beyond it: then its nearest step is shown."""
        if not isinstance(self.axis, ClockAxis) or not self.axis.others:
            return False
        wide = self.columns_of_cell(view)
        found = beside(view.stretches, self.axis.times(cell * wide)[0], self.axis.times((cell + 1) * wide)[0], forward)
        if found is None or found[0].track is view.track:
            return False
        view.enter(*found)
        self.post_message(Changed())
        return True

    def _last_step(self, cell: int, view: View) -> int | None:
        """The last step in a cell of the chart, None where that is out of sight."""
        assert self.axis is not None
        edges = self.axis.edges()
        column = (cell + 1) * self.columns_of_cell(view)
        return view.timeline.at_or_before(int(edges[column]) - 1) if 0 <= column < len(edges) else None

    def _go(self, step: int, view: View) -> None:
        view.moment.go(step, view.timeline)
        self.post_message(Changed())

    def action_pan(self, share: float) -> None:
        if self.view is not None:
            self.view.lens.pan(share, *self._whole(self.view))
            self.post_message(Changed())

    def action_zoom(self, factor: float) -> None:
        if self.view is not None:
            self._zoom(factor, self.view.moment.at(self.view.timeline), self.view)

    def _zoom(self, factor: float, centre: float, view: View) -> None:
        view.lens.zoom(factor, centre, *self._whole(view))
        self.post_message(Changed())

    def _whole(self, view: View) -> tuple[int, int]:
        return (int(view.timeline.steps[0]) if len(view.timeline.steps) else 0), view.seen

    def action_fit(self) -> None:
        if self.view is not None:
            self.view.lens.fit()
            self.post_message(Changed())

    def action_clock(self) -> None:
        if self.view is not None:
            self.view.lens.clock = not self.view.lens.clock
            self.post_message(Changed())

    def on_click(self, event: Click) -> None:
        if self.view is None or self.axis is None or event.x < self.axis_from or self._panned:
            return
        cell = event.x - self.axis_from
        now = self.axis.column(self.view.moment.at(self.view.timeline)) // self.columns_of_cell(self.view)
        if self._entered(cell, cell > now, self.view):
            return
        step = self._last_step(cell, self.view)
        if step is not None:
            self._go(step, self.view)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        self._zoom_at(event.x, 0.5)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        self._zoom_at(event.x, 2.0)

    def _zoom_at(self, x: int, factor: float) -> None:
        """Zoom around the step under the mouse."""
        if self.view is not None and self.axis is not None:
            centre = self._last_step(max(x - self.axis_from, 0), self.view)
            self._zoom(factor, self.view.seen if centre is None else centre, self.view)

    def on_mouse_down(self, event: MouseDown) -> None:
        self._dragged, self._panned = event.x, False
        self.capture_mouse()

    def on_mouse_move(self, event: MouseMove) -> None:
        width = self.size.width - self.axis_from
        if self._dragged is not None and event.x != self._dragged and width > 0:
            self.action_pan((self._dragged - event.x) / width)
            self._dragged, self._panned = event.x, True

    def on_mouse_up(self, event: MouseUp) -> None:
        self._dragged = None
        self.release_mouse()
