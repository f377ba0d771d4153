"""Overviews: many records as a few buckets, from which a whole curve is drawn without reading it.

A bucket is some records that follow each other. Of every column it keeps the smallest, the largest, the mean and the
last number, and how many are not NaN; where none is, all are NaN. Buckets of buckets are exact: nothing is estimated.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .frame import Block
from .retold import Overview
from .squeeze import inflated, squeeze, unsqueezed

RECORDS = 64
"""In a bucket of the finest level."""
MOST = 256
"""Buckets in one overview: a few of them fill a screen."""


class Buckets(NamedTuple):
    """``steps`` int64 (b,) and ``times`` float64 (b,) of the last record of each, of how many ``records`` int64 (b,)
    it is made; the rest float32 (columns, b)."""

    steps: NDArray[np.int64]
    times: NDArray[np.float64]
    records: NDArray[np.int64]
    smallest: NDArray[np.float32]
    largest: NDArray[np.float32]
    mean: NDArray[np.float32]
    last: NDArray[np.float32]
    measured: NDArray[np.float32]

    @classmethod
    def of(cls, steps: Any, times: Any, values: Any) -> Buckets:
        """Records (n,) with values (columns, n)."""
        each = cls(
            steps,
            times,
            np.ones(len(steps), np.int64),
            values,
            values,
            values,
            values,
            (~np.isnan(values)).astype(np.float32),
        )
        return each.coarser(max(RECORDS, -(-len(steps) // MOST)))

    @classmethod
    def together(cls, parts: Sequence[Buckets]) -> Buckets:
        """Those that follow each other as one, of no more than ``MOST`` buckets."""
        whole = cls.joined(parts)
        return whole.coarser(-(-len(whole.steps) // MOST))

    @classmethod
    def joined(cls, parts: Sequence[Buckets]) -> Buckets:
        """Those that follow each other as one."""
        return cls(*(np.concatenate(columns, axis=-1) for columns in zip(*parts, strict=True)))

    def before(self, step: int) -> Buckets:
        """Those that end before ``step``."""
        n = int(self.steps.searchsorted(step))
        return Buckets(
            self.steps[:n],
            self.times[:n],
            self.records[:n],
            self.smallest[:, :n],
            self.largest[:, :n],
            self.mean[:, :n],
            self.last[:, :n],
            self.measured[:, :n],
        )

    def coarser(self, factor: int) -> Buckets:
        """``factor`` buckets as one."""
        if factor < 2:
            return self
        first = np.arange(0, len(self.steps), factor)
        last = np.append(first[1:], len(self.steps)) - 1
        measured = np.add.reduceat(self.measured, first, axis=-1)
        weighted = np.where(self.measured > 0, self.mean, 0).astype(np.float64) * self.measured
        with np.errstate(invalid="ignore", over="ignore"):
            total = np.add.reduceat(weighted, first, axis=-1)
            mean = np.where(measured > 0, total / np.maximum(measured, 1), np.nan).astype(np.float32)
        return Buckets(
            self.steps[last],
            self.times[last],
            np.add.reduceat(self.records, first),
            np.fmin.reduceat(self.smallest, first, axis=-1),
            np.fmax.reduceat(self.largest, first, axis=-1),
            mean,
            self.last[:, last],
            measured,
        )

    def frame(self, schema: int, segment: int, rank: int) -> Overview:
        columns = np.concatenate((self.smallest, self.largest, self.mean, self.last, self.measured))
        data = squeeze(np.ascontiguousarray(self.steps), np.ascontiguousarray(self.times), columns)
        return Overview(schema, segment, rank, len(self.steps), data, zlib.compress(self.records.tobytes()))

    @classmethod
    def read(cls, frame: Overview) -> Buckets | None:
        """None if the bytes are no overview."""
        block = unsqueezed(frame)
        if block is None or len(block.values) % (20 * block.count):
            return None
        columns = np.frombuffer(block.values, np.float32).reshape(5, -1, block.count)
        records = _records(frame)
        if records is None:  # an older writer: as many as were measured of the metric that was measured most
            records = columns[4].max(axis=0).astype(np.int64)
        return cls(np.frombuffer(block.steps, np.int64), np.frombuffer(block.times, np.float64), records, *columns)

    def thinned(self, schema: int, segment: int, rank: int) -> Block:
        """The last record of each bucket: true numbers at their own steps."""
        steps, times, values = (np.ascontiguousarray(part).tobytes() for part in (self.steps, self.times, self.last))
        return Block(schema, segment, rank, len(self.steps), steps, times, values)


def _records(frame: Overview) -> NDArray[np.int64] | None:
    try:
        data = inflated(frame.records)
    except zlib.error:
        return None
    return np.frombuffer(data, np.int64) if len(data) == 8 * frame.count else None
