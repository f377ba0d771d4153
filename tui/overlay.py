"""Curves of several runs on one axis: by step, by epoch, or by time since the start."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from nnwatch.history import History, Track

from .column import Column, Columns

Axis = Literal["step", "epoch", "time"]
AXES: tuple[Axis, ...] = ("step", "epoch", "time")
ALONG: dict[Axis, str] = {"step": "step", "epoch": "epoch", "time": "time since each run's start"}
"""What the axes are called."""
METRICS = ("loss.val", "loss.train", "accuracy.val", "accuracy.train", "lr")
_UNITS = {"step": 1.0, "epoch": 1000.0, "time": 10.0}
"""Whole numbers on the axis to one epoch, one second: columns count in whole numbers."""


class Run(NamedTuple):
    name: str
    history: History


def aligned(run: Run, metric: str, axis: Axis) -> Column | None:
    """The run's curve of a metric over the axis, in ``shown``'s units; None where it cannot be had."""
    track = run.history.main
    if track is None or (column := Columns().get(track, metric)) is None:
        return None
    places = _places(run, column.steps, axis)
    if places is None:
        return None
    out = Column()
    out.extend(np.rint(places * _UNITS[axis]).astype(np.int64), column.values)
    return out


def _places(run: Run, steps: Any, axis: Axis) -> Any:
    track = run.history.main
    assert track is not None
    if axis == "step":
        return steps
    if axis == "epoch":
        each = run.history.facts_of(track).get("steps_per_epoch")
        return steps / each if each else _counted(track, steps)
    every = max(track.values(), key=len)
    start = run.history.run.started if run.history.run is not None else track.segment.time
    return np.interp(steps, every.steps, every.times) - start


def _counted(track: Track, steps: Any) -> Any:
    """Passes over the loader at some steps, as they were counted while its length was not known; the one that is not
    over is taken to be as long as the one before. None until one is over."""
    epoch = track.get("epoch")
    begins = np.flatnonzero(np.diff(epoch.scalar) > 0) + 1 if epoch is not None else np.empty(0, int)
    if epoch is None or not len(begins):
        return None
    starts = epoch.steps[[0, *begins]]
    passes = epoch.scalar[[0, *begins]] - 1.0
    return np.interp(steps, [*starts, 2 * starts[-1] - starts[-2]], [*passes, passes[-1] + 1])


def shown(value: float, axis: Axis) -> str:
    """A place on the axis in words."""
    value /= _UNITS[axis]
    if axis == "time":
        hours, minutes = divmod(round(value) // 60, 60)
        return f"{hours}:{minutes:02d} h" if hours else f"{minutes}:{round(value) % 60:02d}"
    return f"{value:g}"
