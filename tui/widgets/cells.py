"""A widget that is a grid of cells and resends only the cells that changed.

Textual repaints what it is told to repaint, changed or not, so the comparison is made here: an update that
changes nothing sends nothing.
"""

from __future__ import annotations

from abc import abstractmethod
from itertools import pairwise
from typing import Any

import numpy as np
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from ..draw.grid import Codes, Grid, Ink, Inks, plain
from ..draw.heat import shade
from ..theme import palette
from ..view import View


class Cells(Widget):
    """Subclasses say in ``key`` what their picture depends on and paint it in ``draw``."""

    DEFAULT_CSS = "Cells { height: 1; }"

    def __init__(self, **names: Any) -> None:
        super().__init__(**names)
        self.view: View | None = None
        self._key: Any = None
        self._codes = np.zeros((0, 0), np.uint32)
        self._inks = np.zeros((0, 0), np.uint8)
        self._sent = self._inks
        """The inks as they are sent: with those of blanks merged."""
        self._strips: dict[int, Strip] = {}
        self._styles: list[Style | None] = []
        """The style of every ink on the ground of this widget, as the terminal shows it."""

    @abstractmethod
    def key(self, view: View) -> Any:
        """Equal for two views whose pictures are equal; None: always draw."""

    @abstractmethod
    def draw(self, view: View, grid: Grid) -> None:
        """Paint the view on an empty grid of the widget's size."""

    def show(self, view: View) -> None:
        """Take a view and repaint what changed in it."""
        self.view = view
        self.repaint()

    def repaint(self) -> None:
        """Draw again if the picture may have changed; resend the cells that did."""
        width, height = self.outer_size  # without border and padding the same as the inner, and at hand
        if self.view is None or width < 1 or height < 1:
            return
        key = (width, height, self.has_focus, self.view.symbols, self.key(self.view))
        if key == self._key and key[4] is not None:
            return
        self._key = key
        grid = Grid(width, height)
        self.draw(self.view, grid)
        if self.view.symbols == "ascii":
            self._to_ascii(grid)
        self._update(grid)

    def _to_ascii(self, grid: Grid) -> None:
        for code in np.unique(grid.codes[grid.codes > 126]):
            grid.codes[grid.codes == code] = ord(plain(chr(code)))
        grid.codes[grid.codes == 0] = ord(" ")  # what stood for a wide character is one cell wide
        heat = (grid.inks >= Ink.HEAT) & (grid.codes == 32)
        for level in np.unique(grid.inks[heat]):
            grid.codes[heat & (grid.inks == level)] = ord(shade(int(level) - Ink.HEAT))

    def _update(self, grid: Grid) -> None:
        if self._codes.shape != grid.codes.shape:
            self._codes, self._inks = grid.codes, grid.inks
            self._sent = merge_blanks(grid.codes, grid.inks)
            self._strips.clear()
            self.refresh()
            return
        changed = (self._codes != grid.codes) | (self._inks != grid.inks)
        self._codes, self._inks = grid.codes, grid.inks
        rows = np.flatnonzero(changed.any(axis=1))
        if len(rows) == 0:
            return
        self._sent[rows] = merge_blanks(grid.codes[rows], grid.inks[rows])
        regions = []
        for row in rows:
            self._strips.pop(int(row), None)
            where = np.flatnonzero(changed[row])
            regions.append(Region(int(where[0]), int(row), int(where[-1] - where[0]) + 1, 1))
        self.refresh(*regions)

    def text(self) -> list[str]:
        """The rows as they are on the screen."""
        return ["".join(map(chr, row[row > 0])) for row in self._codes]

    def on_resize(self) -> None:
        self._key = None
        self.repaint()

    def on_show(self) -> None:
        self.repaint()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips.clear()
        self._styles.clear()

    def render_lines(self, crop: Region) -> list[Strip]:
        """The strips as they are kept: cells have no border, padding or opacity that Textual would have to add, and
        it asks for all lines of all widgets in each update."""
        left, right = crop.column_span
        strips = [self.render_line(y) for y in crop.line_range]
        return strips if (left, right) == (0, self.size.width) else [strip.crop(left, right) for strip in strips]

    def render_line(self, y: int) -> Strip:
        strip = self._strips.get(y)
        if strip is None:
            if y >= len(self._codes):
                return Strip.blank(self.size.width, self.rich_style)
            strip = self._strips[y] = self._strip(y)
        return strip

    def _strip(self, y: int) -> Strip:
        styles = self._styles = self._styles or self._shown()
        row, inks = self._codes[y], self._sent[y]
        cuts = [0, *(np.flatnonzero(inks[1:] != inks[:-1]) + 1).tolist(), len(inks)]
        text = "".join(map(chr, row.tolist())) if row.all() else None  # a 0 is the second cell of a wide character
        segments = []
        for begin, end in pairwise(cuts):
            part = text[begin:end] if text is not None else "".join(map(chr, filter(None, row[begin:end].tolist())))
            segments.append(Segment(part, styles[inks[begin]]))
        return Strip(segments, len(inks))

    def _shown(self) -> list[Style | None]:
        """The palette, after what Textual does to the styles of every strip where there is little colour or none."""
        ground = self.background_colors[1]
        base = Style(bgcolor=ground.rich_color)
        segments = [Segment("x", base + style) for style in palette(self.app.current_theme.dark, ground.rgb)]
        for line_filter in self.get_line_filters():
            segments = line_filter.apply(segments, ground)
        return [segment.style for segment in segments]


def merge_blanks(codes: Codes, inks: Inks) -> Inks:
    """Give the blanks of each row the ink of the cell before them: each change of ink costs some 40 bytes."""
    coloured = (inks >= Ink.HEAT) | (inks == Ink.SELECTED)
    blank = (codes == 32) & ~coloured
    blank[:, 0] = False
    height, width = codes.shape
    source = np.maximum.accumulate(np.where(blank, 0, np.arange(width)), axis=1)
    source += np.arange(0, height * width, width)[:, None]
    merged: Inks = inks.ravel()[source]
    merged[blank & coloured.ravel()[source]] = Ink.TEXT
    return merged
