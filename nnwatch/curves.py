"""The records of a session as curves, for programs that know nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .frame import Block, Frame, Labels, Schema, Segment
from .history import MACHINE, History, unpacked
from .tables import axis_of

_EVALUATED = ("loss.val", "accuracy.val", "val.size", "val.order")

Curve = tuple[str, Any, Any, Any]
"""Tag, steps, times, values."""


def curves(frames: Iterable[Frame]) -> Iterator[tuple[str, list[Curve]]]:
    """Pieces of each run's curves; of validation the means of whole evaluations: a batch is no point of a curve."""
    schemas: dict[int, Schema] = {}
    labels: dict[int, Labels] = {}
    evaluated = History()
    for frame in frames:
        if isinstance(frame, Segment | Schema | Labels):
            evaluated.apply(frame)
        match frame:
            case Schema():
                schemas[frame.id] = frame
            case Labels():
                labels[frame.id] = frame
            case Block() if (schema := schemas.get(frame.schema)) and (records := unpacked(frame, schema)):
                if any(field.metric in _EVALUATED for field in schema.fields):
                    evaluated.apply(frame)
                steps, times, values = records
                found: list[Curve] = []
                at = 0
                for metric, width, names in ((field.metric, field.width, field.labels) for field in schema.fields):
                    if metric not in _EVALUATED and axis_of(metric) not in ("bin", "row"):
                        known = labels[names].names if names in labels else []
                        for i in range(width):
                            name = known[i] if i < len(known) else str(i)
                            tag = f"{metric}/{name}" if width > 1 else metric
                            found.append((tag, steps, times, values[:, at + i]))
                    at += width
                run = f"segment-{frame.segment}.rank-{frame.rank}" if schema.name != "system" else "system"
                if schema.name == MACHINE:
                    run = f"system.node-{frame.rank}"
                yield run, found
    for (segment, rank), track in evaluated.tracks.items():
        passes = track.evaluations()
        means = (("loss.val", passes.loss), ("accuracy.val", passes.accuracy))
        found = [(metric, passes.steps, passes.times, mean) for metric, mean in means if metric in track]
        if found:
            yield f"segment-{segment}.rank-{rank}", found
