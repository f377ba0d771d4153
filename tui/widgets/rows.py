"""Metrics in one row each: name, value at the moment, sparkline, remark."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..draw.grid import Grid, Ink
from ..draw.scale import scale
from ..draw.sparkline import bar, sparkline
from ..draw.text import count, duration, number, of_step, remaining
from ..view import View
from .listed import Listed

TITLE = 15
VALUE = 9
_NOTE = 22
_NOTE_FROM = 66
"""Rows at least this wide have room for a remark."""


class Row(NamedTuple):
    """``worst`` says which end of a column's values the sparkline shows: a spike must not vanish."""

    column: str
    title: str
    format: Callable[[float], str] = number
    log: bool = False
    worst: str = "high"
    note: Callable[[View, float], str] | None = None
    ink: int = Ink.SERIES
    other: Row | None = None
    """What is shown instead where this was not measured."""

    def of(self, view: View) -> Row:
        other = self.other
        return other if other and view.column(self.column) is None and view.column(other.column) is not None else self


def draw_row(
    grid: Grid,
    y: int,
    title: str,
    value: str,
    spark: str,
    note: str = "",
    ink: int = Ink.TEXT,
    spark_ink: int = Ink.SERIES,
) -> None:
    """The common form of a row."""
    grid.put(0, y, title, Ink.DIM, TITLE - 1)
    grid.right(TITLE + VALUE, y, value, ink)
    grid.put(TITLE + VALUE + 2, y, spark, spark_ink)
    if note and grid.width >= _NOTE_FROM:
        grid.right(grid.width, y, note[:_NOTE], Ink.DIM)


def spark_width(width: int) -> int:
    """Cells that a row has for its sparkline."""
    return max(width - TITLE - VALUE - 2 - (_NOTE + 1 if width >= _NOTE_FROM else 0), 0)


def _absent(view: View) -> str:
    """Why there is no number, in few words."""
    if view.state.kind in ("opening", "waiting"):  # the verdict says what it waits for
        return ""
    return "not in the log" if view.log else "not measured"


class Rows(Listed):
    """One row a metric, its newest value and how it got there."""

    def __init__(self, rows: list[Row], **names: Any) -> None:
        super().__init__(**names)
        self.rows = rows
        self.styles.height = len(rows)

    def metrics(self, view: View) -> list[str | None]:
        return [row.of(view).column for row in self.rows]

    def key(self, view: View) -> Any:
        columns = (view.column(row.of(view).column) for row in self.rows)
        lengths = tuple((id(column), len(column)) if column is not None else None for column in columns)
        return lengths, view.until, view.seen, view.lens.stretch, len(view.stretches), view.state.kind, view.log

    def draw(self, view: View, grid: Grid) -> None:
        for y, row in enumerate(row.of(view) for row in self.rows):
            column = view.column(row.column)
            value = column.at(view.until) if column is not None else None
            if column is None or value is None:
                draw_row(grid, y, row.title, "–", _absent(view) if column is None else "not yet", spark_ink=Ink.DIM)
                continue
            spark = self._spark(view, row, spark_width(grid.width))
            note = row.note(view, value) if row.note else ""
            bad = not np.isfinite(value)
            draw_row(
                grid,
                y,
                row.title,
                row.format(value),
                spark,
                note,
                Ink.ERROR if bad else Ink.TEXT,
                row.ink,
            )

        self.choose(view, grid, TITLE - 1)

    def _spark(self, view: View, row: Row, cells: int) -> str:
        column = view.column(row.column)
        if column is None or not column.until(view.until) or cells < 1:
            return ""
        extremes = view.extremes(row.column, view.axis(int(column.steps[0]), view.step, cells), view.until)
        values = extremes.high if row.worst == "high" else extremes.low
        good = values[np.isfinite(values)]
        if not len(good):
            return ""
        y = scale("log" if row.log and good.min() > 0 else "linear", float(good.min()), float(good.max()))
        return sparkline(y.share(values), extremes.bad)


class Progress(Listed):
    """How far the run is, how long it will take, and what watching costs."""

    DEFAULT_CSS = "Progress { height: 2; }"

    def metrics(self, view: View) -> list[str | None]:
        return ["step.seconds", "watch.cost"]

    def key(self, view: View) -> Any:
        cost = view.value("watch.cost"), view.value("watch.every")
        return view.step, view.planned, view.state.kind, view.value("step.seconds"), cost

    def draw(self, view: View, grid: Grid) -> None:
        self._progress(view, grid)
        self._cost(view, grid)
        self.choose(view, grid, TITLE - 1)

    def _progress(self, view: View, grid: Grid) -> None:
        planned = view.planned
        room = spark_width(grid.width)
        if planned is None:
            draw_row(
                grid, 0, "progress", count(view.step), "steps; end unknown" if view.step else "", spark_ink=Ink.DIM
            )
        else:
            share = view.step / planned
            left = remaining(view.step, planned, self._pace(view)) if view.state.kind == "running" else None
            note = f"{count(view.step)} of {count(planned)}"
            text = f"{min(share, 9.99):.0%}"
            eta = f" ETA {duration(left)}" if left is not None else ""
            draw_row(grid, 0, "progress", text, bar(share, room - len(eta)) + eta, note)

    def _cost(self, view: View, grid: Grid) -> None:
        cost, every = view.value("watch.cost"), view.value("watch.every")
        if cost is None:
            running = view.state.kind in ("running", "stalled", "past")
            unknown = "its cost is known after some steps" if running and not view.log else _absent(view)
            draw_row(grid, 1, "watching", "–", unknown, spark_ink=Ink.DIM)
            return
        sampled = "every step sampled" if every in (None, 1.0) else f"1 step in {every:.0f} sampled"
        draw_row(
            grid,
            1,
            "watching",
            f"{cost:.1%}",
            f"{of_step(cost, view.facts.get('budget'))}; {sampled}",
            spark_ink=Ink.DIM,
        )

    def _pace(self, view: View) -> float:
        """Median seconds of the last steps."""
        column = view.column("step.seconds")
        n = column.until(view.until) if column is not None else 0
        recent = column.values[max(n - 200, 0) : n] if column is not None else np.empty(0)
        known = np.sort(recent[~np.isnan(recent)])
        return float(known[len(known) // 2]) if len(known) else 0.0
