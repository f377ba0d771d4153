"""Many records as a few: what a viewer over a slow line is sent of the part that it looks at.

Of many records each bucket gives three: the smallest number, the largest, and the last one, or one that is not finite
if there is any. A curve drawn from them has the outline of the whole (min-max decimation), with steps that are off by
less than a bucket. Tables of many columns are too large for that: whole records are left out of them. The newest
records of each metric are all there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .frame import FieldSpec, Stretch
from .history import Track
from .series import Series

NARROW = 64
"""Columns up to which the extremes of each are kept."""
NEWEST = 64
"""Records at the end of a metric that are sent in full."""


def stretches(track: Track, first: int, last: int, most: int) -> list[Stretch]:
    """Records of all metrics from ``first`` to ``last`` step, thinned where they do not fit into ``most`` bytes."""
    together = groups(track)
    made = []
    for i, group in enumerate(together):
        begin, end = (int(row) for row in np.searchsorted(group[0].steps, [first, last + 1]))
        if begin == end:
            continue
        made.append(stretch(track, group, begin, end, most // (len(together) - i)))
        most -= size_of(made[-1])
    return made


def groups(track: Track) -> list[list[Series]]:
    """Series whose records come together, those of few columns first."""
    together: dict[int, list[Series]] = {}
    for series in track.values():
        together.setdefault(id(series.axis), []).append(series)
    return sorted(together.values(), key=lambda group: sum(series.width for series in group))


def size_of(made: Stretch) -> int:
    return len(made.steps) + len(made.times) + len(made.values)


def stretch(track: Track, group: list[Series], begin: int, end: int, most: int) -> Stretch:
    """Rows ``begin`` to ``end`` of a group, thinned where they do not fit into ``most`` bytes."""
    rows = max(2 * NEWEST, most // (16 + 4 * sum(series.width for series in group)))
    steps, times, values, every = _thinned(group, begin, end, rows)
    fields = [FieldSpec(s.metric, s.width, s.labels.id if s.labels is not None else 0) for s in group]
    bounds = int(group[0].steps[begin]), int(group[0].steps[end - 1])
    data = (part.tobytes() for part in (steps, times, np.ascontiguousarray(values.T)))
    return Stretch(track.segment.segment, track.segment.rank, *bounds, every, fields, len(steps), *data)


def _thinned(group: list[Series], begin: int, end: int, most: int) -> tuple[Any, Any, Any, int]:
    """At most about ``most`` of the rows: steps (n,), times (n,), values (n, columns), and how many one stands for."""
    values = [series.values[begin:end] for series in group]
    steps, times = group[0].steps[begin:end], group[0].times[begin:end]
    n = end - begin
    if n <= most:
        return steps, times, np.hstack(values), 1
    old, few = n - NEWEST, most - NEWEST
    narrow = sum(series.width for series in group) <= NARROW
    size = -(-old * (3 if narrow else 1) // few)
    starts = np.arange(0, old, size)
    ends = np.minimum(starts + size, old) - 1
    if narrow:
        rows = np.stack((starts, (starts + ends) // 2, ends), 1).ravel()
        kept = np.hstack([_extremes(part[:old], starts, ends) for part in values])
    else:
        rows = ends
        kept = np.hstack([part[ends] for part in values])
    newest = np.arange(old, n)
    rows = np.concatenate((rows, newest))
    return steps[rows], times[rows], np.vstack((kept, np.hstack([part[newest] for part in values]))), size


def _extremes(values: Any, starts: Any, ends: Any) -> Any:
    """Smallest, largest, and last or not finite value of each bucket and column: (3 * buckets, columns)."""
    bad = ~np.isfinite(values)
    clean = np.where(bad, np.nan, values) if bad.any() else values
    low, high = np.fmin.reduceat(clean, starts), np.fmax.reduceat(clean, starts)
    last = values[ends].copy()
    for bucket, column in zip(*np.nonzero(np.logical_or.reduceat(bad, starts)), strict=True):
        part = slice(starts[bucket], ends[bucket] + 1)
        last[bucket, column] = values[part, column][bad[part, column]][-1]
    return np.stack((low, high, last), 1).reshape(-1, values.shape[1])
