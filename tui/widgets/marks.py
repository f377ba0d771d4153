"""What stands on the x axis of a chart: epochs, jumps of the learning rate, findings; and the time of its steps."""

from __future__ import annotations

from collections.abc import Callable

from ..draw.grid import SEVERITY_INK, Ink
from ..draw.plot import Mark
from ..draw.scale import Buckets
from ..draw.text import duration
from ..view import View

_MOST_EPOCHS = 24
"""More epochs than these are no landmarks."""


def marks(view: View, x: Buckets) -> list[Mark]:
    """Epochs below, then jumps of the rate, where the run was resumed, and the findings above all."""
    if view.track is None:
        return []
    segment, landmarks = view.track.segment, view.landmarks()
    epochs = [step for step in landmarks.epochs if x.first <= step <= min(x.last, view.seen)]
    found = [Mark(step, "┴", Ink.DIM) for step in epochs] if len(epochs) <= _MOST_EPOCHS else []
    found += [Mark(step, "↑" if rose else "↓", Ink.INFO) for step, rose in landmarks.rates if step <= view.seen]
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
