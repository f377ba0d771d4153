"""Every rank of a distributed run in a row: how far it is, its loss, its time, and what it waits for."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nnwatch.history import Track

from ..draw.grid import Grid, Ink
from ..draw.sparkline import sparkline
from ..draw.text import count, number
from ..view import View
from .cells import Cells

MOST = 8
"""Rows; of more ranks those furthest from the others."""
_NEWEST = 50
_STEP, _LOSS, _SECONDS, _WAIT, _SPARK = 9, 17, 29, 40, 50


class Rank(NamedTuple):
    """``seconds`` is the median of the newest steps, ``wait`` the share of it that waits for data; NaN: not known."""

    rank: int
    step: int
    loss: float
    seconds: float
    wait: float
    times: Any


def ranks(view: View) -> list[Rank]:
    """The ranks of the segment that is shown, in order."""
    if view.track is None:
        return []
    segment = view.track.segment.segment
    tracks = sorted((rank, track) for (of, rank), track in view.history.tracks.items() if of == segment)
    return [_rank(rank, track, view.until) for rank, track in tracks]


def _rank(rank: int, track: Track, until: int | None) -> Rank:
    def newest(metric: str) -> Any:
        series = track.get(metric)
        n = series.until(until) if series is not None else 0
        return series.scalar[max(n - _NEWEST, 0) : n] if series is not None else np.empty(0)

    def median(values: Any) -> float:
        good = values[np.isfinite(values)]
        return float(np.median(good)) if len(good) else float("nan")

    loss, times, waits = newest("loss.train"), newest("step.seconds"), newest("data.wait")
    seconds = median(times)
    step = track.last_step if until is None else min(track.last_step, until)
    return Rank(rank, step, float(loss[-1]) if len(loss) else float("nan"), seconds, median(waits) / seconds, times)


def oddest(found: list[Rank], most: int) -> list[Rank]:
    """Those whose time is furthest from the others', in the order of their numbers."""
    if len(found) <= most:
        return found
    times = np.nan_to_num([one.seconds for one in found])
    far = np.argsort(-np.abs(times - np.median(times)), kind="stable")[:most]
    return [found[i] for i in sorted(far)]


class Ranks(Cells):
    """Nothing for a run of one rank."""

    DEFAULT_CSS = "Ranks { height: 0; margin-bottom: 1; }"

    def rows(self, view: View) -> int:
        """Rows that it needs: a heading, the ranks, a line about those left out."""
        there = len(ranks(view))
        return 0 if there < 2 else 1 + min(there, MOST) + (there > MOST)

    def key(self, view: View) -> Any:
        return view.step, tuple(one[:5] for one in ranks(view))

    def draw(self, view: View, grid: Grid) -> None:
        found = ranks(view)
        shown = oddest(found, MOST)
        slowest = max(found, key=lambda one: np.nan_to_num(one.seconds))
        top = max(float(np.nanmax(one.times, initial=0)) for one in found) or 1.0
        for x, word in ((0, "rank"), (_STEP, "step"), (_LOSS, "loss"), (_SECONDS, "s a step"), (_WAIT, "waits")):
            grid.put(x, 0, word, Ink.TITLE)
        for y, one in enumerate(shown, 1):
            grid.put(0, y, str(one.rank), Ink.TEXT)
            grid.put(_STEP, y, count(one.step), Ink.TEXT)
            grid.put(_LOSS, y, number(one.loss), Ink.TEXT if np.isfinite(one.loss) else Ink.ERROR)
            late = one is slowest and one.seconds > 1.2 * np.nanmedian([other.seconds for other in found])
            grid.put(_SECONDS, y, number(one.seconds) + (" !" if late else ""), Ink.WARN if late else Ink.TEXT)
            grid.put(_WAIT, y, f"{one.wait:.0%}" if np.isfinite(one.wait) else "–", Ink.DIM)
            grid.put(_SPARK, y, sparkline(one.times[-max(grid.width - _SPARK, 0) :] / top), Ink.BAND)
        if len(shown) < len(found):
            grid.put(0, len(shown) + 1, f"{len(found) - len(shown)} more, as fast as most", Ink.DIM)
