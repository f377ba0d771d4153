"""What stands on the x axis of a chart: epochs, jumps of the learning rate, findings."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from nnwatch.history import Track

from ..axis import Axis, ClockAxis
from ..draw.grid import SEVERITY_INK, Ink
from ..draw.plot import Mark
from ..view import View

_MOST = 24
"""More epochs or jumps than these in sight are no landmarks."""


def marks(view: View, x: Axis) -> list[Mark]:
    """Epochs below, then jumps of the rate, where the run was resumed, and the findings above all."""
    found: list[Mark] = []
    for part in view.stretches:
        along = x.of(part.timeline) if isinstance(x, ClockAxis) else x
        found += _of_segment(view, part.track, along, view.seen if part.track is view.track else part.timeline.head)
    return found


def _of_segment(view: View, track: Track, x: Axis, seen: int) -> list[Mark]:
    segment, landmarks = track.segment, view.landmarks_of(track)
    edges = x.edges()
    first, last = int(edges[0]), min(int(edges[-1]), seen)
    epochs = landmarks.epochs[bisect_left(landmarks.epochs, first) : bisect_right(landmarks.epochs, last)]
    rates = landmarks.rates[bisect_left(landmarks.rates, (first,)) : bisect_right(landmarks.rates, (last, True))]
    found = [Mark(x.column(step), "┴", Ink.DIM) for step in epochs] if len(epochs) <= _MOST else []
    if len(rates) <= _MOST:
        found += [Mark(x.column(step), "↑" if rose else "↓", Ink.INFO) for step, rose in rates]
    if segment.first_step > 0 or (track is not view.stretches[0].track):
        found.append(Mark(x.column(segment.first_step + 1), "┃", Ink.TITLE))
    return found + [
        Mark(x.column(finding.first_step), "▲", SEVERITY_INK[finding.severity])
        for finding in view.findings()
        if finding.segment == segment.segment and finding.severity not in ("info", "watch")
    ]
