"""A whole run in a few hundred kilobytes, and a part of it in full: what a viewer over a slow line is sent.

Of many records each bucket gives three: the smallest number, the largest, and the last one, or one that is not finite
if there is any. A curve drawn from them has the outline of the whole (min-max decimation), with steps that are off by
less than a bucket. Tables of many columns are too large for that: whole records are left out of them. The newest
records of each metric are all there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .frame import Console, Event, FieldSpec, Frame, Stretch
from .history import History, Series, Track

_NARROW = 64
"""Columns up to which the extremes of each are kept."""
_NEWEST = 64
"""Records at the end of a metric that are sent in full."""
_CONSOLE = 1 << 15
"""Characters of what the script printed, the newest."""
_EVENTS = 1000
_ALL = 1 << 62


def overview(history: History, most: int) -> list[Frame]:
    """The run so far: everything but the numbers, and of these about ``most`` bytes."""
    frames: list[Frame] = [history.run] if history.run is not None else []
    frames += [track.segment for track in history.tracks.values()]
    frames += [*history.labels.values(), *history.schemas.values()]
    when = history.last_time
    for (segment, rank), facts in history.facts.items():
        frames.append(Event("facts", when, 0, segment, rank, facts))
    frames += [*history.events[-_EVENTS:], *history.findings.values(), *_printed(history)]
    if history.judgement is not None:
        frames.append(history.judgement)
    main = history.main
    others = [track for track in history.tracks.values() if track is not main and track]
    if main is not None:
        frames += stretches(main, -_ALL, _ALL, most // 2)
    for track in others:
        frames += stretches(track, -_ALL, _ALL, most // 4 // len(others))
    frames += stretches(history.system, -_ALL, _ALL, most // 4, system=True)
    return frames + [frame for frame in (history.commit, history.end) if frame is not None]


def _printed(history: History) -> list[Console]:
    """The newest of what the script printed."""
    size, first = 0, len(history.console)
    while first and size < _CONSOLE:
        first -= 1
        size += len(history.console[first].text)
    return history.console[first:]


def stretches(track: Track, first: int, last: int, most: int, *, system: bool = False) -> list[Stretch]:
    """Records of all metrics from ``first`` to ``last`` step, thinned where they do not fit into ``most`` bytes."""
    together: dict[int, list[Series]] = {}
    for series in track.values():
        together.setdefault(id(series.axis), []).append(series)
    groups = sorted(together.values(), key=lambda group: sum(series.width for series in group))
    made = []
    for i, group in enumerate(groups):
        begin, end = (int(row) for row in np.searchsorted(group[0].steps, [first, last + 1]))
        if begin == end:
            continue
        size = 16 + 4 * sum(series.width for series in group)
        rows = max(2 * _NEWEST, most // (len(groups) - i) // size)
        steps, times, values, every = _thinned(group, begin, end, rows)
        most -= size * len(steps)
        fields = [FieldSpec(s.metric, s.width, s.labels.id if s.labels is not None else 0) for s in group]
        segment = -1 if system else track.segment.segment
        bounds = max(first, int(group[0].steps[begin])), min(last, int(group[0].steps[end - 1]))
        data = (part.tobytes() for part in (steps, times, np.ascontiguousarray(values.T)))
        made.append(Stretch(segment, track.segment.rank, *bounds, every, fields, len(steps), *data))
    return made


def _thinned(group: list[Series], begin: int, end: int, most: int) -> tuple[Any, Any, Any, int]:
    """At most about ``most`` of the rows: steps (n,), times (n,), values (n, columns), and how many one stands for."""
    values = [series.values[begin:end] for series in group]
    steps, times = group[0].steps[begin:end], group[0].times[begin:end]
    n = end - begin
    if n <= most:
        return steps, times, np.hstack(values), 1
    old, few = n - _NEWEST, most - _NEWEST
    narrow = sum(series.width for series in group) <= _NARROW
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
