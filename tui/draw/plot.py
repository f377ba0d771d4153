"""One chart: title with legend, y axis, curves, x axis with its marks. Pure: columns in, cells out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .grid import Grid, Ink
from .pyramid import Extremes
from .raster import DOTS, Symbols, raster, trace
from .scale import Buckets, Scale
from .text import tick

GUTTER = 8
"""Cells left of the curves: six for the tick label, a blank, the axis."""
_TICK_ROOM = 12
_SPARSE = 4
"""A curve with data in fewer than a quarter of the columns shows its points."""


class Line(NamedTuple):
    """One curve as extremes per dot column."""

    extremes: Extremes
    ink: int
    char: str = "*"
    dashed: bool = False
    points: bool = False


class Mark(NamedTuple):
    """A sign on the x axis."""

    x: float
    char: str
    ink: int


def dots(width: int, symbols: Symbols) -> int:
    """Dot columns that the curves of a chart ``width`` cells wide have."""
    return max(width - GUTTER, 1) * DOTS[symbols][0]


def plot(
    grid: Grid,
    lines: list[Line],
    x: Buckets,
    y: Scale,
    *,
    symbols: Symbols = "braille",
    marks: list[Mark] | None = None,
    guide: float | None = None,
    guide_word: str = "guide",
    window: tuple[float, float] | None = None,
    label: Callable[[float], str] | None = None,
    cursor: float | None = None,
    now: float | None = None,
) -> None:
    """Draw on rows 1 and below of ``grid`` (row 0 is the legend's).

    ``guide`` is a reference on the y axis, ``window`` a stretch of the x axis to mark, ``cursor`` an x to point at;
    what is right of ``now`` is drawn pale. ``label`` writes an x, as a step number by default.
    """
    width, height = grid.width - GUTTER, grid.height - 2
    if width < 2 or height < 1:
        return
    across, down = DOTS[symbols]
    traces = [
        trace(
            y.share(line.extremes.low),
            y.share(line.extremes.high),
            line.extremes.bad,
            height * down,
            line.ink,
            line.char,
            line.dashed,
        )
        for line in lines
    ]
    codes, inks, used = raster(traces, width, height, symbols)
    if now is not None:
        later = max(x.column(now) // across + 1, 0)
        inks[:, later:][used[:, later:]] = Ink.GHOST
    _guide(codes, inks, used, y, guide, guide_word, down)
    _cursor(codes, inks, used, x, cursor, across)
    _points(codes, inks, lines, y, across, down)
    _gaps(codes, inks, lines, across)
    grid.codes[1 : 1 + height, GUTTER:], grid.inks[1 : 1 + height, GUTTER:] = codes, inks
    _y_axis(grid, y, height, down)
    _x_axis(grid, x, height + 1, width, across, marks or [], label)
    if window is not None:
        _window(grid, x, window, width, across)


def _window(grid: Grid, x: Buckets, window: tuple[float, float], width: int, across: int) -> None:
    """A bar over the curves from the first to the last column of the window, and its edges down to the axis."""
    first, last = (min(max(x.column(edge) // across, 0), width - 1) for edge in window)
    for column in {first, last}:
        cells = grid.codes[1:-1, GUTTER + column] == ord(" ")
        grid.codes[1:-1, GUTTER + column][cells] = ord("╎")
        grid.inks[1:-1, GUTTER + column][cells] = Ink.WARN
    row = grid.height - 1
    grid.put(GUTTER + first, row, "━" * (last - first + 1), Ink.WARN)
    begin, end = f"{window[0]:.0f}", f"{window[1]:.0f}"
    if last - first > len(begin) + len(end) + 2:
        grid.put(GUTTER + first, row, begin, Ink.WARN)
        grid.right(GUTTER + last + 1, row, end, Ink.WARN)


def _rows(share: Any, height: int, down: int) -> Any:
    """The rows of places on the axis: those that hold their dots, where a cell has ``down`` of them."""
    return np.clip(np.rint((1 - share) * (height * down - 1)), 0, height * down - 1).astype(int) // down


def _guide(codes: Any, inks: Any, used: Any, y: Scale, guide: float | None, word: str, down: int) -> None:
    if guide is None or not y.low <= guide <= y.high:
        return
    row = int(_rows(y.share(guide), len(codes), down))
    free = ~used[row]
    codes[row, free], inks[row, free] = ord("┄"), Ink.DIM
    label = f" {word} {guide:.3g} "
    room = np.convolve(free, np.ones(len(label)), "valid") if len(label) < len(free) else np.empty(0)
    places = np.flatnonzero(room == len(label))
    if len(places):
        codes[row, places[-1] : places[-1] + len(label)] = [ord(char) for char in label]


def _cursor(codes: Any, inks: Any, used: Any, x: Buckets, cursor: float | None, across: int) -> None:
    column = x.column(cursor) // across if cursor is not None else -1
    if 0 <= column < codes.shape[1]:
        free = ~used[:, column]
        codes[free, column] = ord("│")
        inks[free, column] = Ink.CURSOR


def _points(codes: Any, inks: Any, lines: list[Line], y: Scale, across: int, down: int) -> None:
    for line in lines:
        have = np.flatnonzero(np.isfinite(line.extremes.high))
        if line.points and 0 < len(have) <= max(codes.shape[1] * across // _SPARSE, 1):
            rows = _rows(y.share(line.extremes.high[have]), len(codes), down)
            codes[rows, have // across], inks[rows, have // across] = ord("●" if not line.dashed else "○"), line.ink


def _gaps(codes: Any, inks: Any, lines: list[Line], across: int) -> None:
    """A cross on the top row where values stop being finite."""
    for line in lines:
        bad = line.extremes.bad
        begins = np.flatnonzero(bad & ~np.concatenate(([False], bad[:-1]))) // across
        codes[0, begins], inks[0, begins] = ord("✗"), Ink.ERROR


def _y_axis(grid: Grid, y: Scale, height: int, down: int) -> None:
    grid.codes[1 : height + 1, GUTTER - 1], grid.inks[1 : height + 1, GUTTER - 1] = ord("│"), Ink.DIM
    taken: set[int] = set()
    for value in y.ticks(max(height // 3, 2)):
        row = 1 + int(_rows(y.share(value), height, down))
        if row not in taken and 1 <= row <= height:
            taken.add(row)
            grid.right(GUTTER - 2, row, tick(value), Ink.DIM)
            grid.put(GUTTER - 1, row, "┤", Ink.DIM)


def _x_axis(
    grid: Grid, x: Buckets, row: int, width: int, across: int, marks: list[Mark], label: Callable[[float], str] | None
) -> None:
    """Step numbers at round columns between pieces of axis, and the marks over them."""
    grid.put(GUTTER - 1, row, "└" + "─" * width, Ink.DIM)
    scale = Scale("linear", x.first, x.last)
    end = GUTTER
    quiet = [mark for mark in marks if mark.ink == Ink.DIM]  # numbers may cover these
    loud = [mark for mark in marks if mark.ink != Ink.DIM]
    _put_marks(grid, x, row, width, across, quiet)
    marked = {GUTTER + x.column(mark.x) // across for mark in loud}
    for value in scale.ticks(max(width // _TICK_ROOM, 1)):
        if value != int(value):
            continue
        text = label(value) if label else tick(value) if value < 1e4 or value % 100 == 0 else f"{value:.0f}"
        at = GUTTER + x.column(value) // across
        start = max(at - len(text) // 2, GUTTER)
        free = marked.isdisjoint(range(start, start + len(text)))
        if free and start >= end and start + len(text) <= GUTTER + width:
            grid.put(start, row, text, Ink.DIM)
            end = start + len(text) + 2
    _put_marks(grid, x, row, width, across, loud)


def _put_marks(grid: Grid, x: Buckets, row: int, width: int, across: int, marks: list[Mark]) -> None:
    for mark in marks:
        column = x.column(mark.x) // across
        if 0 <= column < width:
            grid.put(GUTTER + column, row, mark.char, mark.ink)
