"""Every rank of a distributed run in a row: how far it is, its loss, its time, and what it waits for."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from textual.binding import Binding, BindingType

from nnwatch.history import Track

from ..draw.grid import Grid, Ink
from ..draw.sparkline import sparkline
from ..draw.text import count, number
from ..view import View
from .listed import Listed

MOST = 8
"""Rows; of more ranks those furthest from the others come first."""
_NEWEST = 50
_STEP, _LOSS, _SECONDS, _WAIT, _SPARK = 6, 15, 25, 36, 45
_NODE = 6
"""Columns that the node takes, in the place of the first ones of the sparkline, where there are several."""
_COLUMNS = ((_LOSS, "loss", "loss.train"), (_SECONDS, "s a step", "step.seconds"), (_WAIT, "waits", "data.wait"))
"""Where the numbers stand, their headings, and the metrics that they are made from."""


class Rank(NamedTuple):
    """``seconds`` is the median of the newest steps, ``wait`` the share of it that waits for data; NaN: not known."""

    rank: int
    node: int
    step: int
    loss: float
    seconds: float
    wait: float
    times: Any


def _rank(rank: int, track: Track, until: int | None) -> Rank:
    def newest(metric: str) -> Any:
        series = track.get(metric)
        n = series.until(until) if series is not None else 0
        return series.scalar[max(n - _NEWEST, 0) : n] if series is not None else np.empty(0)

    def median(values: Any) -> float:
        good = values[np.isfinite(values)]
        return float(np.sort(good)[len(good) // 2]) if len(good) else float("nan")

    loss, times, waits = newest("loss.train"), newest("step.seconds"), newest("data.wait")
    seconds = median(times)
    step = track.last_step if until is None else min(track.last_step, until)
    return Rank(
        rank,
        track.segment.node,
        step,
        float(loss[-1]) if len(loss) else float("nan"),
        seconds,
        median(waits) / seconds,
        times,
    )


def oddest(found: list[Rank]) -> list[Rank]:
    """Those whose loss is not finite first, then those behind, then by how far their time is from the usual one."""
    usual = float(np.nanmedian([one.seconds for one in found]))
    return sorted(found, key=lambda one: (np.isfinite(one.loss), one.step, -abs(np.nan_to_num(one.seconds) - usual)))


class Ranks(Listed):
    """Nothing for a run of one rank. Of many ranks the odd ones are in sight, the others an arrow away."""

    DEFAULT_CSS = "Ranks { height: 0; margin-bottom: 1; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "column(1)", "Column", key_display="h l", tooltip="Choose a number in the row"),
        Binding("left,h", "column(-1)", "Column before", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._column = 1
        self._top = 0

    def rows(self, view: View) -> int:
        """Rows that it needs: a heading, the ranks, a line about those out of sight."""
        there = len(view.ranks)
        return 0 if there < 2 else 1 + min(there, MOST) + (there > MOST)

    def metrics(self, view: View) -> list[str | None]:
        return [None, *(_COLUMNS[self._column][2] for _ in view.ranks)]

    def key(self, view: View) -> Any:
        made = view.history.version, view.until, self._top, self.at, self._column
        return made if len(view.ranks) > 1 else ()

    def draw(self, view: View, grid: Grid) -> None:
        found = [_rank(rank, track, view.until) for rank, track in view.ranks]
        if len(found) > MOST:
            found = oddest(found)
        slowest = max(found, key=lambda one: np.nan_to_num(one.seconds))
        slow = slowest.seconds > 1.2 * np.nanmedian([one.seconds for one in found])
        top = max(float(np.nanmax(one.times, initial=0)) for one in found) or 1.0
        for x, word in ((0, "rank"), (_STEP, "step"), *(column[:2] for column in _COLUMNS)):
            grid.put(x, 0, word, Ink.TITLE)
        spark = _SPARK + _NODE * (len(view.nodes) > 1)
        if spark > _SPARK:
            grid.put(_SPARK, 0, "node", Ink.TITLE)
        self.at = min(max(self.at, 1), len(found)) if self.has_focus else 1
        self._top = min(max(self._top, self.at - MOST), self.at - 1)
        for y, one in enumerate(found[self._top : self._top + MOST], 1):
            late = slow and one is slowest
            grid.put(0, y, str(one.rank), Ink.TEXT)
            grid.put(_STEP, y, count(one.step), Ink.TEXT)
            grid.put(_LOSS, y, number(one.loss), Ink.TEXT if np.isfinite(one.loss) else Ink.ERROR)
            grid.put(_SECONDS, y, number(one.seconds) + (" !" if late else ""), Ink.WARN if late else Ink.TEXT)
            grid.put(_WAIT, y, f"{one.wait:.0%}" if np.isfinite(one.wait) else "–", Ink.DIM)
            if spark > _SPARK:
                grid.put(_SPARK, y, str(one.node), Ink.DIM)
            grid.put(spark, y, sparkline(one.times[-max(grid.width - spark, 1) :] / top), Ink.BAND)
        if len(found) > MOST:
            grid.put(0, MOST + 1, f"{len(found) - MOST} more, nearer to what most do", Ink.DIM)
        if self.has_focus:
            x, word, _ = _COLUMNS[self._column]
            grid.fill(self.line(self.at), Ink.SELECTED, 0, _STEP - 1)
            grid.fill(self.line(self.at), Ink.SELECTED, x, len(word))

    def line(self, row: int) -> int:
        return row - self._top

    def action_column(self, by: int) -> None:
        self._column = (self._column + by) % len(_COLUMNS)
        self.repaint()
