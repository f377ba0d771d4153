"""A whole run in a few hundred kilobytes: what a viewer over a slow line is sent first.

Everything but the numbers, and of these the overviews that lie in the session's chapters already: to show a run of a
million steps nobody has to look at them again. What came since the newest chapter, and the newest records of each
metric in full, is taken from the history; so is all of it where there are no whole chapters.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .archive import Archive
from .decimate import NARROW, NEWEST, groups, size_of, stretch
from .frame import Console, Event, Frame, Schema, Stretch
from .history import History, Track
from .overview import Buckets

_CONSOLE = 1 << 15
"""Characters of what the script printed, the newest."""
_EVENTS = 1000
_BEFORE_ALL = -(1 << 62)

_Key = tuple[int, int, int]
"""Schema, segment, rank."""
_Told = dict[_Key, tuple[int, Buckets]]
"""The step of the first record, and what overviews tell from there on."""


def outline(history: History, archive: Archive, most: int) -> list[Frame]:
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
    told = _told(archive)
    main = history.main
    others = [track for track in history.tracks.values() if track is not main and track]
    if main is not None:
        frames += _numbers(history, main, told, most // 2)
    for track in others:
        frames += _numbers(history, track, told, most // 4 // len(others))
    for track in history.machines.values():
        frames += _numbers(history, track, told, most // 4 // len(history.machines))
    return frames + [frame for frame in (history.commit, history.end) if frame is not None]


def _printed(history: History) -> list[Console]:
    """The newest of what the script printed, on each node."""
    found = []
    for console in history.consoles.values():
        size, first = 0, len(console)
        while first and size < _CONSOLE // len(history.consoles):
            first -= 1
            size += len(console[first].text)
        found += console[first:]
    return found


def _told(archive: Archive) -> _Told:
    """The fewest overviews that reach over all chapters; none where one is damaged."""
    told: dict[_Key, list[tuple[int, Buckets]]] = {}
    since = 0
    for _, level in archive.covering():
        since = level.since
        for place in level.places:
            buckets = archive.buckets(place)
            if buckets is None:
                return {}
            told.setdefault((place.schema, place.segment, place.rank), []).append((place.first_step, buckets))
    if since:
        return {}
    return {key: (parts[-1][0], Buckets.joined([part for _, part in reversed(parts)])) for key, parts in told.items()}


def _numbers(history: History, track: Track, told: _Told, most: int) -> Iterable[Stretch]:
    """Half of it for what the chapters tell, and what is left for what they do not."""
    mine = [(history.schemas[key[0]], *part) for key, part in told.items() if _track(history, key) is track]
    known: dict[str, int] = {}  # metric to the last step that was told
    for i, (schema, first, buckets) in enumerate(sorted(mine, key=lambda one: one[2].last.shape[0])):
        axis = track[schema.fields[0].metric].steps
        buckets = buckets.before(int(axis[max(0, len(axis) - NEWEST)]))
        if len(buckets.steps):
            made = _thinned(track, schema, first, buckets, most // 2 // (len(mine) - i))
            most -= size_of(made)
            known |= {field.metric: max(made.last, known.get(field.metric, made.last)) for field in schema.fields}
            yield made
    together = groups(track)
    for i, group in enumerate(together):
        begin = int(np.searchsorted(group[0].steps, known.get(group[0].metric, _BEFORE_ALL), side="right"))
        if begin < len(group[0]):
            made = stretch(track, group, begin, len(group[0]), most // (len(together) - i))
            most -= size_of(made)
            yield made


def _track(history: History, key: _Key) -> Track | None:
    schema = history.schemas.get(key[0])
    track = history.track(schema.name, *key[1:]) if schema is not None else None
    return track if schema is not None and track and schema.fields[0].metric in track else None


def _thinned(track: Track, schema: Schema, first: int, buckets: Buckets, most: int) -> Stretch:
    """Three records of each bucket, its extremes and its last; the last alone of tables of many columns."""
    width = buckets.last.shape[0]
    narrow = width <= NARROW
    rows = max(2 * NEWEST, most // (16 + 4 * width)) // (3 if narrow else 1)
    buckets = buckets.coarser(-(-len(buckets.steps) // rows))
    steps, times, values = buckets.steps, buckets.times, buckets.last
    if narrow:
        last = np.where(buckets.measured < buckets.records, np.nan, buckets.last)  # NaN is seen
        steps = _between(steps, first)
        times = _between(times, times[0])
        values = np.stack((buckets.smallest, buckets.largest, last), axis=-1).reshape(width, -1)
    data = (np.ascontiguousarray(part).tobytes() for part in (steps, times, values.astype(np.float32)))
    end = int(buckets.steps[-1])
    every = max(2, (end - first) // len(buckets.steps))
    return Stretch(track.segment.segment, track.segment.rank, first, end, every, schema.fields, len(steps), *data)


def _between(ends: Any, first: Any) -> Any:
    """Beginning, middle and end of each bucket (3 * b,)."""
    begins = np.append(first, ends[:-1])
    return np.stack((begins, begins + (ends - begins) // 2, ends), axis=1).ravel()
