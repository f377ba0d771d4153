"""The top line: what runs, how it is, and which screen this is."""

from __future__ import annotations

from typing import Any

from textual.events import Click

from ..draw.grid import Grid, Ink
from ..draw.text import count, duration
from ..view import View
from .cells import Cells

SCREENS = ("overview", "layers", "confidence", "advisor", "system", "console", "runs")

_LEFT = 56
"""Cells that state, name, step and time want before the screens are all named."""
TABS_FROM = 60
"""Columns from which the screens are named."""


class Status(Cells):
    """State in glyph and word, the run's name, the step, the time; the screens on the right."""

    def __init__(self, screen: str, title: str) -> None:
        super().__init__()
        self.current = screen
        self.title = title
        self._spans: list[tuple[int, int, str]] = []
        """Where the screens are named, and their digits."""

    def key(self, view: View) -> Any:
        return view.judged, view.state, view.step, view.head, view.moment.step, int(view.time), view.history.run

    def draw(self, view: View, grid: Grid) -> None:
        x = self._tabs(grid)
        state = view.state
        name = view.history.run.name if view.history.run is not None else self.title
        at = grid.put(0, 0, f"{state.glyph} {state.word}", state.ink, x)
        parts = [name, f"judged with {view.judged}"] if view.judged else [name]
        if view.step or view.head:
            parts.append(f"step {count(view.step)}")
        if view.track is not None and view.track.segment.segment > 0:
            parts.append(f"segment {view.track.segment.segment + 1}")
        if len(view.ranks) > 1:
            parts.append(f"rank {view.ranks[0][0]} of {len(view.ranks)}")
        if view.history.run is not None and view.time > view.history.run.started:
            parts.append(duration(float(int(view.time - view.history.run.started))))
        for i, part in enumerate(parts):
            if at + 2 + len(part) > x:
                break
            at = grid.put(at + 2, 0, part, Ink.TITLE if i == 0 else Ink.TEXT)

    def _tabs(self, grid: Grid) -> int:
        """The screens with their digits, or as many words as there is room for; the x where they begin."""
        titles = [f"{i} {name}" for i, name in enumerate(SCREENS, 1)]
        if grid.width < len("  ".join(titles)) + _LEFT:
            titles = [title if name == self.current else title[0] for title, name in zip(titles, SCREENS, strict=True)]
        self._spans = []
        if grid.width < TABS_FROM:
            return grid.width
        x = begin = grid.width - len("  ".join(titles))
        for title, name in zip(titles, SCREENS, strict=True):
            end = grid.put(x, 0, title, Ink.SELECTED if name == self.current else Ink.DIM) + 2
            self._spans.append((x, end, title[0]))
            x = end
        return begin - 1

    def on_click(self, event: Click) -> None:
        for begin, end, digit in self._spans:
            if begin <= event.x < end:
                self.app.simulate_key(digit)
