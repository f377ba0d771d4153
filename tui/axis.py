"""What lies along a chart: steps, or the time on the clock at which they were made. Its columns are stretches of
steps either way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from .draw.clock import clock_ticks
from .draw.scale import Buckets, fit, window
from .draw.text import clock, tick
from .lens import Lens
from .moment import Timeline

_PAUSE, _LONG = 3, 20.0
"""More columns than this without a step, and more time than this many steps take, are a pause."""
_SAMPLED = 256
"""Steps that tell how long one takes."""


_SHORT = 6
"""Of words with so many letters twice as many fit below a chart as of step numbers and seconds."""


class Axis(Protocol):
    """A row of ``columns`` from left to right."""

    @property
    def columns(self) -> int: ...

    def edges(self) -> Any:
        """First step of each column, and the one behind the last: int64 (columns + 1,)."""

    def column(self, step: float) -> int:
        """Column of a step; outside [0, columns) when it is not shown."""

    def ticks(self, most: int) -> list[tuple[int, str]]:
        """Columns at which something round stands, at most about so many, and what it is called."""

    def name(self, step: float) -> str:
        """What a step is called on this axis."""

    def pauses(self) -> Any:
        """Which columns belong to a pause: bool (columns,)."""


@dataclass(frozen=True)
class StepAxis:
    buckets: Buckets

    @property
    def columns(self) -> int:
        return self.buckets.columns

    def edges(self) -> Any:
        return self.buckets.edges()

    def column(self, step: float) -> int:
        return self.buckets.column(step)

    def ticks(self, most: int) -> list[tuple[int, str]]:
        return [(self.column(value), step_name(value)) for value in self.buckets.ticks(most) if value == int(value)]

    def name(self, step: float) -> str:
        return f"{step:.0f}"

    def pauses(self) -> Any:
        return np.zeros(self.columns, bool)


@dataclass(frozen=True)
class ClockAxis:
    """``buckets`` are of seconds since 1970. A step stands where it was made, and so does what was recorded of it
    later: an evaluation stands at the step after which it began. Steps are those of ``timeline``; ``others`` are those
    of the run's other segments."""

    buckets: Buckets
    timeline: Timeline
    others: tuple[Timeline, ...] = ()

    @property
    def columns(self) -> int:
        return self.buckets.columns

    def of(self, timeline: Timeline) -> ClockAxis:
        """The same axis for the steps of another segment."""
        return replace(self, timeline=timeline)

    def times(self, column: int) -> tuple[float, float]:
        """When a column begins and ends."""
        begin = (self.buckets.start + column) * self.buckets.step
        return begin, begin + self.buckets.step

    def _rows(self, timeline: Timeline) -> Any:
        """The first row of a timeline in each column."""
        times = (self.buckets.start + np.arange(self.columns + 1)) * self.buckets.step
        return np.searchsorted(timeline.times, times)

    def edges(self) -> Any:
        rows, steps = self._rows(self.timeline), self.timeline.steps
        if not len(steps):
            return np.zeros(len(rows), np.int64)
        first = np.where(rows < len(steps), steps[np.minimum(rows, len(steps) - 1)], steps[-1] + 1)
        return np.where(rows > 0, first, 0)  # an evaluation before the first step is in the first column

    def column(self, step: float) -> int:
        return self.buckets.column(self.timeline.time_of(int(step)))

    def ticks(self, most: int) -> list[tuple[int, str]]:
        shown = clock_ticks(self.buckets.first, self.buckets.last, 2 * most)
        if any(len(name) > _SHORT for _, name in shown):
            shown = clock_ticks(self.buckets.first, self.buckets.last, most)
        return [(self.buckets.column(time), name) for time, name in shown]

    def name(self, step: float) -> str:
        return clock(self.timeline.time_of(int(step)))

    def pauses(self) -> Any:
        found = np.zeros(self.columns, bool)
        some = np.flatnonzero(sum(np.diff(self._rows(timeline)) for timeline in (self.timeline, *self.others)))
        least = max(_PAUSE, _LONG * self._usual() / self.buckets.step)
        for left, right in pairwise(some.tolist()):
            if right - left > least:
                found[left + 1 : right] = True
        return found

    def _usual(self) -> float:
        """Seconds of a step, as the median of some of them."""
        times = self.timeline.times
        every = max(len(times) // _SAMPLED, 1)
        return float(np.median(np.diff(times[::every]))) / every if len(times) > every else 0.0


def step_name(value: float) -> str:
    """A round step number in few characters."""
    return tick(value) if value < 1e4 or value % 100 == 0 else f"{value:.0f}"


Others = tuple[Timeline, ...]


def whole(lens: Lens, timeline: Timeline, first: int, last: int, columns: int, others: Others = ()) -> Axis:
    """All steps from ``first`` to ``last``, and on the clock those of the other segments."""
    if lens.clock:
        begin = min([timeline.time_of(first), *(float(other.times[0]) for other in others)])
        end = max([timeline.time_of(last), *(float(other.times[-1]) for other in others)])
        return ClockAxis(fit(begin, end, columns), timeline, others)
    return StepAxis(fit(first, last, columns))


def through(lens: Lens, timeline: Timeline, first: int, last: int, columns: int, others: Others = ()) -> Axis:
    """What the lens shows of the steps from ``first`` to ``last``."""
    if lens.span is None:
        return whole(lens, timeline, first, last, columns, others)
    right = last if lens.right is None else lens.right
    if lens.clock:
        end = timeline.time_of(int(right))
        return ClockAxis(window(end, end - timeline.time_of(int(right - lens.span)), columns), timeline, others)
    return StepAxis(window(right, lens.span, columns))
