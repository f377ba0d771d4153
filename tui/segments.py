"""The segments of a run on one clock: each has steps of its own, and between them are the pauses."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nnwatch.history import History, Track

from .moment import Timeline

_EVERY_STEP = ("loss.train", "lr", "step.seconds")
"""Metrics with one record a step: the first that is there says which steps there are."""


class Stretch(NamedTuple):
    """A segment, by its lowest rank, and when its steps were made."""

    track: Track
    timeline: Timeline

    @property
    def number(self) -> int:
        return self.track.segment.segment


def timeline_of(track: Track) -> Timeline:
    if not track:
        return Timeline()
    known = [track[name] for name in _EVERY_STEP if name in track]
    series = known[0] if known else max(track.values(), key=len)
    return Timeline(series.steps, series.times)


def track_of(history: History, segment: int) -> Track | None:
    """The lowest rank of a segment."""
    ranks = [key for key in history.tracks if key[0] == segment]
    return history.tracks[min(ranks)] if ranks else None


def stretches(history: History, mine: Stretch, later: bool) -> list[Stretch]:
    """Those before ``mine``, itself, and with ``later`` those after it; oldest first, without those that have no
    step."""
    found = []
    for number in sorted({number for number, _ in history.tracks}):
        if number == mine.number:
            found.append(mine)
        elif (later or number < mine.number) and (track := track_of(history, number)):
            timeline = timeline_of(track)
            if len(timeline.steps):
                found.append(Stretch(track, timeline))
    return found


def beside(parts: list[Stretch], begin: float, end: float, forward: bool) -> tuple[Stretch, int] | None:
    """The step nearest to the times from ``begin`` to ``end``, in them or beyond: the first one after ``begin`` or the
    last one before ``end``. None where there is none."""
    found = []
    for part in parts:
        times = part.timeline.times
        row = int(np.searchsorted(times, begin if forward else end)) - (not forward)
        if 0 <= row < len(times):
            found.append((float(times[row]), part, int(part.timeline.steps[row])))
    if not found:
        return None
    _, part, step = (min if forward else max)(found, key=lambda one: one[0])
    return part, step
