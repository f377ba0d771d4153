"""One chart: y axis, curves, x axis with its marks. Pure: columns in, cells out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .grid import Codes, Grid, Ink, Inks
from .pyramid import Extremes
from .raster import DOTS, Symbols, raster, trace
from .scale import Scale
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
    letter: str = ""
    """Stands where the curve ends, so that curves are told apart without colours."""


class Mark(NamedTuple):
    """A sign on the x axis, at a dot column."""

    column: int
    char: str
    ink: int


class Window(NamedTuple):
    """A stretch of the x axis to mark, from one dot column to another, and what its ends are called."""

    first: int
    last: int
    begin: str
    end: str


Ticks = list[tuple[int, str]]
"""Dot columns and what stands there."""


def dots(width: int, symbols: Symbols) -> int:
    """Dot columns that the curves of a chart ``width`` cells wide have."""
    return max(width - GUTTER, 1) * DOTS[symbols][0]


def tick_count(width: int) -> int:
    """How many ticks fit below a chart ``width`` cells wide."""
    return max((width - GUTTER) // _TICK_ROOM, 1)


def plot(
    grid: Grid,
    lines: list[Line],
    ticks: Ticks,
    y: Scale,
    *,
    symbols: Symbols = "braille",
    marks: list[Mark] | None = None,
    guides: Sequence[tuple[float, str]] = (),
    window: Window | None = None,
    cursor: int | None = None,
    now: int | None = None,
    pauses: Any = None,
) -> None:
    """Draw on rows 1 and below of ``grid`` (row 0 is the legend's). Places along the x axis are dot columns.

    ``guides`` are references on the y axis with a word each, ``cursor`` a place to point at; what is right of ``now``
    is drawn pale. No curve is drawn through ``pauses`` (bool, one for each dot column).
    """
    width, height = grid.width - GUTTER, grid.height - 2
    if width < 2 or height < 1:
        return
    across, down = DOTS[symbols]
    traces = [
        trace(
            y.share(line.extremes.low),
            y.share(line.extremes.high),
            line.extremes.bad if pauses is None else line.extremes.bad | pauses,
            height * down,
            line.ink,
            line.char,
            line.dashed,
        )
        for line in lines
    ]
    codes, inks, used = raster(traces, width, height, symbols)
    if now is not None:
        later = max(now // across + 1, 0)
        inks[:, later:][used[:, later:]] = Ink.GHOST
    for value, word in guides:
        _guide(codes, inks, used, y, value, word, down)
    _cursor(codes, inks, used, cursor, across)
    _points(codes, inks, lines, y, across, down)
    _letters(codes, inks, lines, y, across, down)
    _gaps(codes, inks, lines, across)
    grid.codes[1 : 1 + height, GUTTER:], grid.inks[1 : 1 + height, GUTTER:] = codes, inks
    _y_axis(grid, y, height, down)
    _x_axis(grid, ticks, height + 1, width, across, marks or [], pauses)
    if window is not None:
        _window(grid, window, width, across)


def _window(grid: Grid, window: Window, width: int, across: int) -> None:
    """A bar over the curves from the first to the last column of the window, and its edges down to the axis."""
    first, last = (min(max(edge // across, 0), width - 1) for edge in window[:2])
    for column in {first, last}:
        cells = grid.codes[1:-1, GUTTER + column] == ord(" ")
        grid.codes[1:-1, GUTTER + column][cells] = ord("╎")
        grid.inks[1:-1, GUTTER + column][cells] = Ink.WARN
    row = grid.height - 1
    grid.put(GUTTER + first, row, "━" * (last - first + 1), Ink.WARN)
    if last - first > len(window.begin) + len(window.end) + 2:
        grid.put(GUTTER + first, row, window.begin, Ink.WARN)
        grid.right(GUTTER + last + 1, row, window.end, Ink.WARN)


def _rows(share: Any, height: int, down: int) -> Any:
    """The rows of places on the axis: those that hold their dots, where a cell has ``down`` of them."""
    return np.clip(np.rint((1 - share) * (height * down - 1)), 0, height * down - 1).astype(int) // down


def _guide(codes: Any, inks: Any, used: Any, y: Scale, guide: float, word: str, down: int) -> None:
    if not y.low <= guide <= y.high:
        return
    row = int(_rows(y.share(guide), len(codes), down))
    free = ~used[row]
    codes[row, free], inks[row, free] = ord("┄"), Ink.DIM
    label = f" {word} {guide:.3g} "
    room = np.convolve(free, np.ones(len(label)), "valid") if len(label) < len(free) else np.empty(0)
    places = np.flatnonzero(room == len(label))
    if len(places):
        codes[row, places[-1] : places[-1] + len(label)] = [ord(char) for char in label]


def _cursor(codes: Any, inks: Any, used: Any, cursor: int | None, across: int) -> None:
    column = cursor // across if cursor is not None else -1
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


def _letters(codes: Any, inks: Any, lines: list[Line], y: Scale, across: int, down: int) -> None:
    taken: set[tuple[int, int]] = set()
    for line in lines:
        have = np.flatnonzero(np.isfinite(line.extremes.high))
        if line.letter and len(have):
            row = int(_rows(y.share(line.extremes.high[have[-1]]), len(codes), down))
            column = min(int(have[-1]) // across + 1, codes.shape[1] - 1)
            while (row, column) in taken and column > 0:
                column -= 1
            taken.add((row, column))
            codes[row, column], inks[row, column] = ord(line.letter), line.ink


def _gaps(codes: Any, inks: Any, lines: list[Line], across: int) -> None:
    """A cross on the top row where values stop being finite."""
    for line in lines:
        bad = line.extremes.bad
        begins = np.flatnonzero(bad & ~np.concatenate(([False], bad[:-1]))) // across
        codes[0, begins], inks[0, begins] = ord("✗"), Ink.ERROR


def _y_axis(grid: Grid, y: Scale, height: int, down: int) -> None:
    codes, inks = _gutter(y, height, down)
    grid.codes[1 : height + 1, :GUTTER], grid.inks[1 : height + 1, :GUTTER] = codes, inks


@lru_cache(maxsize=64)
def _gutter(y: Scale, height: int, down: int) -> tuple[Codes, Inks]:
    """The axis and its words: a new point seldom changes them."""
    grid = Grid(GUTTER, height)
    grid.codes[:, -1], grid.inks[:, -1] = ord("│"), Ink.DIM
    taken: set[int] = set()
    for value in y.ticks(max(height // 3, 2)):
        row = int(_rows(y.share(value), height, down))
        if row not in taken:
            taken.add(row)
            grid.right(GUTTER - 2, row, tick(value), Ink.DIM)
            grid.put(GUTTER - 1, row, "┤", Ink.DIM)
    return grid.codes, grid.inks


def _x_axis(grid: Grid, ticks: Ticks, row: int, width: int, across: int, marks: list[Mark], pauses: Any) -> None:
    """Words at round places between pieces of axis, and the marks over them."""
    grid.put(GUTTER - 1, row, "└" + "─" * width, Ink.DIM)
    if pauses is not None:
        grid.codes[row, GUTTER:][pauses.reshape(width, across).all(axis=1)] = ord("·")
    quiet = [mark for mark in marks if mark.ink == Ink.DIM]  # words may cover these
    loud = [mark for mark in marks if mark.ink != Ink.DIM]
    _put_marks(grid, row, width, across, quiet)
    marked = {GUTTER + mark.column // across for mark in loud}
    end = GUTTER
    for column, text in ticks:
        at = GUTTER + column // across
        start = max(min(at - len(text) // 2, GUTTER + width - len(text)), GUTTER)
        free = marked.isdisjoint(range(start, start + len(text)))
        if free and start >= end and at < GUTTER + width:
            grid.put(start, row, text, Ink.DIM)
            end = start + len(text) + 2
    _put_marks(grid, row, width, across, loud)


def _put_marks(grid: Grid, row: int, width: int, across: int, marks: list[Mark]) -> None:
    for mark in marks:
        column = mark.column // across
        if 0 <= column < width:
            grid.put(GUTTER + column, row, mark.char, mark.ink)
