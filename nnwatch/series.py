"""Columns of numbers that grow at their end: the records of one metric, or of several that come together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import scratch
from .frame import Labels

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Steps = NDArray[np.int64]


class Axis:
    """Steps and times of some series whose records always come together: they are kept once."""

    def __init__(self, users: int = 1) -> None:
        self.users = users
        self.n = 0
        self.steps = scratch.array((64,), np.int64)
        self.times = scratch.array((64,), np.float64)

    def extend(self, steps: Steps, times: Doubles) -> None:
        end = self.n + len(steps)
        if end > len(self.steps):
            size = max(end, 2 * len(self.steps))
            self.steps, self.times = _grown(self.steps, size), _grown(self.times, size)
        self.steps[self.n : end], self.times[self.n : end] = steps, times
        self.n = end

    def copy(self, users: int) -> Axis:
        """The same for ``users`` of its series, which go another way from here on."""
        self.users -= users
        other = Axis(users)
        other.extend(self.steps[: self.n], self.times[: self.n])
        return other


class Series:
    """One metric of one segment and rank.

    ``steps`` int64 (n,), ``times`` float64 seconds since 1970 (n,), ``values`` float32 (n, width). A record
    of another width widens the series; what was not measured is NaN.
    """

    def __init__(self, metric: str, width: int, labels: Labels | None, axis: Axis | None = None) -> None:
        self.metric = metric
        self.labels = labels
        self.axis = axis or Axis()
        self._values = scratch.array((64, width), np.float32)

    def __len__(self) -> int:
        return self.axis.n

    @property
    def width(self) -> int:
        width: int = self._values.shape[1]
        return width

    @property
    def steps(self) -> Steps:
        return self.axis.steps[: self.axis.n]

    @property
    def times(self) -> Doubles:
        return self.axis.times[: self.axis.n]

    @property
    def values(self) -> Floats:
        return self._values[: self.axis.n]

    @property
    def scalar(self) -> Floats:
        """First column (n,): the values of a metric with one number per record."""
        return self._values[: self.axis.n, 0]

    def until(self, step: int | None) -> int:
        """How many records belong to ``step`` or before; all of them for None."""
        return self.axis.n if step is None else int(self.steps.searchsorted(step, side="right"))

    def names(self) -> list[str]:
        """One name per column."""
        known = self.labels.names[: self.width] if self.labels else []
        return [*known, *map(str, range(len(known), self.width))]

    def append(self, steps: Steps, times: Doubles, values: Floats, labels: Labels | None) -> None:
        """Add records; ``values`` is (count, width)."""
        append([(self, values, labels)], steps, times)

    def put(self, begin: int, end: int, values: Floats, labels: Labels | None) -> None:
        """The values of records whose steps are on the axis already."""
        if values.shape[1] > self.width:
            wide = scratch.array((len(self._values), values.shape[1]), np.float32)
            wide[:] = np.nan
            wide[:begin, : self.width] = self._values[:begin]
            self._values = wide
        if labels is not None and values.shape[1] >= self.width:
            self.labels = labels
        if end > len(self._values):
            self._values = _grown(self._values, max(end, 2 * len(self._values)))
        self._values[begin:end, : values.shape[1]] = values
        self._values[begin:end, values.shape[1] :] = np.nan


def append(parts: list[tuple[Series, Floats, Labels | None]], steps: Steps, times: Doubles) -> None:
    """Add the same records to several series: values (count, width) and labels of each."""
    axes: dict[int, list[Series]] = {}
    for series, _, _ in parts:
        axes.setdefault(id(series.axis), []).append(series)
    for together in axes.values():
        axis = together[0].axis
        if axis.users > len(together):  # records came without the others of this axis
            axis = axis.copy(len(together))
            for series in together:
                series.axis = axis
        axis.extend(steps, times)
    for series, values, labels in parts:
        series.put(series.axis.n - len(steps), series.axis.n, values, labels)


def _grown(column: NDArray[Any], size: int) -> NDArray[Any]:
    new = scratch.array((size, *column.shape[1:]), column.dtype)
    new[: len(column)] = column
    return new
