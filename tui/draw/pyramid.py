"""Minima and maxima of a growing column at factors of eight: any zoom of a million points in microseconds."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnwatch import scratch

Floats = NDArray[np.float32]
_FACTOR = 8
_COARSEST = 512
"""A level is not made for fewer entries than this: reading them directly is as fast."""


class Extremes(NamedTuple):
    """Per column: smallest and largest finite value (NaN: none), and whether a non-finite one is in it."""

    low: Floats
    high: Floats
    bad: NDArray[np.bool_]


def joined(parts: list[Extremes]) -> Extremes:
    """Of several curves (one at least) in the same columns as if they were one."""
    first, *others = parts
    for part in others:
        first = Extremes(np.fmin(first.low, part.low), np.fmax(first.high, part.high), first.bad | part.bad)
    return first


class _Level:
    def __init__(self, shape: tuple[int, ...]) -> None:
        self.n = 0
        self.low = np.empty((64, *shape), np.float32)
        self.high = np.empty((64, *shape), np.float32)
        self.bad = np.zeros((64, *shape), np.bool_)

    def write(self, at: int, low: Any, high: Any, bad: Any) -> None:
        end = at + len(low)
        if end > len(self.low):
            size = max(end, 2 * len(self.low))
            for name in ("low", "high", "bad"):
                old = getattr(self, name)
                new = scratch.array((size, *old.shape[1:]), old.dtype)
                new[: self.n] = old[: self.n]
                setattr(self, name, new)
        self.low[at:end], self.high[at:end], self.bad[at:end] = low, high, bad
        self.n = end


def _reduce(low: Any, high: Any, bad: Any, starts: Any) -> tuple[Any, Any, Any]:
    return (
        np.fmin.reduceat(low, starts, axis=0),
        np.fmax.reduceat(high, starts, axis=0),
        np.logical_or.reduceat(bad, starts, axis=0),
    )


def _finite(values: Any) -> tuple[Any, Any]:
    bad = ~np.isfinite(values)
    return (np.where(bad, np.nan, values) if bad.any() else values), bad


def _taken(values: Any, take: Any) -> Any:
    return values if take is None else values[:, take]


class Pyramid:
    """Built over values (n,) or (n, width) that only grow; ``update`` takes the whole column each time."""

    def __init__(self) -> None:
        self._n = 0
        self._levels: list[_Level] = []

    def update(self, values: Any) -> None:
        """Take the rows in that are new since the last call."""
        old, self._n = self._n, len(values)
        n, number = len(values), 0
        while n > _COARSEST * _FACTOR:
            if number == len(self._levels):
                self._levels.append(_Level(values.shape[1:]))
                old = 0
            level = self._levels[number]
            first = old // _FACTOR  # the last block may have been incomplete
            if number == 0:
                low, bad = _finite(values[first * _FACTOR : n])
                high = low
            else:
                below = self._levels[number - 1]
                part = slice(first * _FACTOR, n)
                low, high, bad = below.low[part], below.high[part], below.bad[part]
            level.write(first, *_reduce(low, high, bad, np.arange(0, n - first * _FACTOR, _FACTOR)))
            old, n, number = first, level.n, number + 1

    def query(self, values: Any, edges: Any, take: Any = None) -> Extremes:
        """Extremes of rows edges[k] to edges[k + 1] for each k; ``edges`` are rising row numbers (columns + 1,).

        ``take`` are the columns of wide values that are wanted, all by default. With more than 32 rows a column the
        edges are rounded to blocks: off by less than a quarter column.
        """
        edges = np.asarray(edges, np.int64)
        rows, columns = int(edges[-1] - edges[0]), len(edges) - 1
        level, size = 0, 1
        while level < len(self._levels) and rows > 4 * columns * size * _FACTOR:
            level, size = level + 1, size * _FACTOR
        shape = (columns, *values.shape[1:]) if take is None else (columns, len(take))
        low = np.full(shape, np.nan, np.float32)
        high = np.full(shape, np.nan, np.float32)
        bad = np.zeros(shape, np.bool_)
        at = -(-edges // size) if level else edges
        filled = np.flatnonzero(at[1:] > at[:-1])
        if len(filled) == 0:
            return Extremes(low, high, bad)
        begin, end = int(at[filled[0]]), int(at[filled[-1] + 1])
        if level:
            source = self._levels[level - 1]
            lows, highs, bads = (_taken(part[begin:end], take) for part in (source.low, source.high, source.bad))
            raw = lows, highs, bads
        else:
            clean, wrong = _finite(_taken(values[begin:end], take))
            raw = clean, clean, wrong
        low[filled], high[filled], bad[filled] = _reduce(*raw, at[filled] - begin)
        return Extremes(low, high, bad)
