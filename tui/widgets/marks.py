"""What stands on the x axis of a chart: epochs, jumps of the learning rate, findings; and the time of its steps."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable

from ..draw.grid import SEVERITY_INK, Ink
from ..draw.plot import Mark
from ..draw.scale import Buckets
from ..draw.text import duration
from ..view import View

_MOST = 24
"""More epochs or jumps than these in sight are no landmarks."""


def marks(view: View, x: Buckets) -> list[Mark]:
    """Epochs below, then jumps of the rate, where the run was resumed, and the findings above all."""
    if view.track is None:
        return []
    segment, landmarks = view.track.segment, view.landmarks()
    last = min(x.last, view.seen)
    epochs = landmarks.epochs[bisect_left(landmarks.epochs, x.first) : bisect_right(landmarks.epochs, last)]
    rates = landmarks.rates[bisect_left(landmarks.rates, (x.first,)) : bisect_right(landmarks.rates, (last, True))]
    found = [Mark(step, "┴", Ink.DIM) for step in epochs] if len(epochs) <= _MOST else []
    if len(rates) <= _MOST:
        found += [Mark(step, "↑" if rose else "↓", Ink.INFO) for step, rose in rates]
    if segment.first_step > 0:
        found.append(Mark(segment.first_step + 1, "┃", Ink.TITLE))
    return found + [
        Mark(finding.first_step, "▲", SEVERITY_INK[finding.severity])
        for finding in view.findings()
        if finding.segment == segment.segment and finding.severity not in ("info", "watch")
    ]


def since_start(view: View) -> Callable[[float], str]:
    """Writes a step as the time since the run was started."""
    began = view.history.run.started if view.history.run is not None else view.timeline.time_of(0)
    return lambda step: duration(max(view.timeline.time_of(int(step)) - began, 0))
