"""From data to axis: nice ticks, linear, log and symlog scales, column edges that stay where they are.

Edges are multiples of a nice step in data space, so an appended point changes the last column only; with
edges at n / width every append would move, redraw and resend the whole chart.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, floor, log10
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Kind = Literal["linear", "log", "symlog"]
KINDS: tuple[Kind, ...] = ("linear", "log", "symlog")

_MANTISSAS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
_TICK_MANTISSAS = (1.0, 2.0, 5.0)
_SMALLEST = 1e-300


def nice(value: float, mantissas: tuple[float, ...] = _MANTISSAS) -> float:
    """The smallest m * 10^k that is not below ``value`` (> 0)."""
    power = floor(log10(max(value, _SMALLEST)))
    for mantissa in mantissas:
        step = float(f"{mantissa}e{power}")
        if step >= value * (1 - 1e-12):
            return step
    return float(f"1e{power + 1}")


def ticks(low: float, high: float, most: int) -> list[float]:
    """At most about ``most`` round values in [low, high]."""
    if not high > low or most < 1:
        return [low]
    step = nice((high - low) / most, _TICK_MANTISSAS)
    first = ceil(low / step - 1e-9)
    last = floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)] or [low]


class Buckets(NamedTuple):
    """``columns`` along x; column k holds start + k <= x / step < start + k + 1."""

    start: int
    step: float
    columns: int

    def edges(self) -> NDArray[np.int64]:
        """First whole step of each column, and the one behind the last (columns + 1,), not to be written to.

        Whole numbers, because a search for others makes numpy convert all the steps.
        """
        edges: NDArray[np.int64] = _edges(self)
        return edges

    def column(self, x: float) -> int:
        """Column of x; outside [0, columns) when x is not shown."""
        return floor(x / self.step + 1e-9) - self.start

    @property
    def first(self) -> float:
        return self.start * self.step

    @property
    def last(self) -> float:
        return (self.start + self.columns) * self.step

    def ticks(self, most: int) -> list[float]:
        """At most about ``most`` round values between the first and the last."""
        return ticks(self.first, self.last, most)


@lru_cache(maxsize=64)
def _edges(buckets: Buckets) -> NDArray[np.int64]:
    """The same object for the same columns: most redraws of a chart, and all charts of a page, ask for them again."""
    places = (buckets.start + np.arange(buckets.columns + 1) - 1e-9) * buckets.step
    edges = np.asarray(np.ceil(places), np.int64)
    edges.setflags(write=False)
    return edges


def fit(first: float, last: float, count: int) -> Buckets:
    """The finest nice columns that show [first, last]; grows in jumps of a quarter or so as ``last`` grows."""
    step = nice(max(last - first, 1.0) / count)
    while floor(last / step + 1e-9) - floor(first / step + 1e-9) >= count:
        step = nice(step * 1.01)
    return Buckets(floor(first / step + 1e-9), step, count)


def window(last: float, span: float, count: int) -> Buckets:
    """Columns that show about ``span`` before ``last``; moves in jumps of a tenth of the width."""
    step = nice(max(span, 1e-9) / count)
    jump = max(count // 10, 1)
    end = ceil((floor(last / step + 1e-9) + 1) / jump) * jump
    return Buckets(max(end - count, 0), step, count)


class Scale(NamedTuple):
    """A y axis: ``low`` and ``high`` are data values; ``linthresh`` is where symlog turns linear."""

    kind: Kind
    low: float
    high: float
    linthresh: float = 1e-3

    def bend(self, values: Any) -> NDArray[np.float64]:
        """Values to axis units: themselves, their log10, or the signed log beyond ``linthresh``."""
        values = np.asarray(values, np.float64)
        if self.kind == "log":
            return np.asarray(np.log10(np.maximum(values, _SMALLEST)), np.float64)
        if self.kind == "symlog":
            scaled = np.abs(values) / self.linthresh
            bent = np.sign(values) * np.where(scaled > 1, 1 + np.log10(np.maximum(scaled, 1)), scaled)
            return np.asarray(bent, np.float64)
        return np.asarray(values, np.float64)

    def share(self, values: Any) -> NDArray[np.float64]:
        """Place on the axis: 0 at ``low``, 1 at ``high``; NaN stays NaN."""
        low, high = self.bend([self.low, self.high])
        return np.asarray((self.bend(values) - low) / max(high - low, _SMALLEST))

    def ticks(self, most: int) -> list[float]:
        """At most about ``most`` round values between the limits."""
        if self.kind == "linear":
            return ticks(self.low, self.high, most)
        if self.kind == "symlog":
            return self._symlog_ticks(most)
        return _log_ticks(self.low, self.high, most)

    def _symlog_ticks(self, most: int) -> list[float]:
        top = _log_ticks(self.linthresh, self.high, max(most // 2, 1)) if self.high > self.linthresh else []
        bottom = _log_ticks(self.linthresh, -self.low, max(most // 2, 1)) if -self.low > self.linthresh else []
        zero = [0.0] if self.low <= 0 <= self.high else []
        return [-value for value in reversed(bottom)] + zero + top


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    first, last = log10(max(low, _SMALLEST)), log10(max(high, _SMALLEST))
    whole = range(ceil(first - 1e-9), floor(last + 1e-9) + 1)
    if len(whole) > most:
        jump = ceil(len(whole) / most)
        return [float(f"1e{power}") for power in whole if power % jump == 0]
    if len(whole) >= 3 or most < 3:
        return [float(f"1e{power}") for power in whole] or [low]
    fine = [float(f"{mantissa}e{power}") for power in range(floor(first), ceil(last) + 1) for mantissa in (1, 2, 5)]
    inside = [value for value in fine if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
    if 2 <= len(inside) <= most:
        return inside
    return ticks(low, high, most) if len(inside) < 2 else [float(f"1e{power}") for power in whole] or inside[:most]


def scale(kind: Kind, low: float, high: float, before: Scale | None = None) -> Scale:
    """An axis that shows [low, high] with round limits.

    ``before`` is kept while it holds the data and they fill half of it, so that the picture does not jump.
    A log axis of data that are not all positive becomes symlog.
    """
    if kind == "log" and low <= 0:
        kind = "symlog"
    linthresh = 1e-3
    if kind == "symlog":
        linthresh = float(f"1e{floor(log10(max(abs(low), abs(high), 1e-6))) - 3}")
    if before is not None and before.kind == kind and before.low <= low and high <= before.high:
        used = before.bend([low, high])
        whole = before.bend([before.low, before.high])
        if kind != "symlog" and used[1] - used[0] >= 0.5 * (whole[1] - whole[0]):
            return before
    if kind == "log":
        return _log_limits(low, high)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        margin = abs(high) * 0.1 or 0.5
        low, high = low - margin, high + margin
    step = nice((high - low) / 5, _TICK_MANTISSAS) / 2
    return Scale(kind, floor(low / step + 1e-9) * step, ceil(high / step - 1e-9) * step, linthresh)


def _log_limits(low: float, high: float) -> Scale:
    """Limits a fifth of a decade around the data."""
    first = floor(log10(max(low, _SMALLEST)) * 5 + 1e-9) / 5
    last = ceil(log10(max(high, _SMALLEST)) * 5 - 1e-9) / 5
    if last - first < 0.4:
        first, last = first - 0.2, last + 0.2
    return Scale("log", 10 ** max(first, -300), 10 ** min(last, 308))
