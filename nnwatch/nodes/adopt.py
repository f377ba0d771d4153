"""Frames of another node's session as they are told in the session of the whole job.

Ranks keep their numbers. What a session numbers for itself (labels, schemas, segments) gets the numbers it has here,
times are moved to the clock here, samples of the machine and what was printed get the number of the node, and what only
that node's own session needs is left there: its findings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from msgspec.structs import replace

from ..frame import Block, Console, Event, FieldSpec, Frame, Labels, Schema, Segment
from ..history import MACHINE
from ..ingest import Ids

_LATE = 5.0
"""Seconds by which a node may be started after a segment began and still belong to it: clocks differ."""
_OF_RANK = {
    "facts", "nonfinite", "probe.failed", "checkpoint.saved", "checkpoint.loaded", "phase", "exception", "autopsy"
}  # fmt: skip
"""Events of a process that trains."""
_OF_NODE = {"overflow", "disk.full", "notice"}
"""Events of a node's monitor that concern the job. That a node stands still is seen here by all ranks, whose stacks are
told in one event then."""


class Adopter:
    """Of node number ``node``, called ``host``; its job was ``started`` at, and its clock is ``ahead`` of the one here
    by, so many seconds. What is told again after a break arrives at the same numbers."""

    def __init__(self, node: int, host: str, started: float, ahead: float, ids: Ids) -> None:
        self._node = node
        self._host = host
        self._since = started - ahead - _LATE
        self._ahead = ahead
        self._ids = ids
        self._labels = {0: 0}
        self._schemas: dict[int, int] = {}
        self._machine: set[int] = set()  # its schemas whose blocks are samples of its machine
        self._segments: dict[tuple[int, int], int] = {}  # (its segment, rank) to the one here
        self._count: Counter[tuple[int, int]] = Counter()  # segments of (rank, pid) so far

    def take(self, frame: Frame) -> Iterator[Frame]:
        """What one frame is here; nothing for most that are no numbers."""
        match frame:
            case Labels():
                self._labels[frame.id], labels = self._ids.labels(frame.names, frame.notes)
                if labels is not None:
                    yield labels
            case Schema():
                fields = [FieldSpec(f.metric, f.width, self._labels.get(f.labels, 0)) for f in frame.fields]
                name = MACHINE if frame.name == "system" else frame.name
                if name == MACHINE:
                    self._machine.add(frame.id)
                self._schemas[frame.id], schema = self._ids.schema(name, fields)
                if schema is not None:
                    yield schema
            case Segment() if (frame.segment, frame.rank) not in self._segments:
                yield from self._segment(frame)
            case Block():
                schema_id, number, rank = self._schemas.get(frame.schema), *self._place(frame)
                if schema_id is not None and number is not None and not len(frame.times) % 8:
                    times = frame.times if not self._ahead else self._moved(frame.times)
                    yield replace(frame, schema=schema_id, segment=number, rank=rank, times=times)
            case Console():
                yield replace(frame, node=self._node, time=frame.time - self._ahead)
            case Event():
                yield from self._event(frame)

    def _segment(self, frame: Segment) -> Iterator[Frame]:
        process = frame.rank, frame.pid
        entry: dict[str, Any] = {"rank": frame.rank, "segment": self._count[process], "time": frame.time - self._ahead}
        self._count[process] += 1
        entry |= {"reason": frame.reason, "first_step": frame.first_step}
        number, segment = self._ids.segment(entry, frame.pid, self._node, self._host, self._since)
        self._segments[frame.segment, frame.rank] = number
        if segment is not None:
            yield segment

    def _place(self, block: Block) -> tuple[int | None, int]:
        """Segment and rank here."""
        if block.schema in self._machine:
            return -1, self._node
        return self._segments.get((block.segment, block.rank)), block.rank

    def _moved(self, times: bytes) -> bytes:
        return (np.frombuffer(times, np.float64) - self._ahead).tobytes()

    def _event(self, event: Event) -> Iterator[Frame]:
        number = self._segments.get((event.segment, event.rank))
        if event.name in _OF_RANK and number is not None:
            yield replace(event, segment=number, time=event.time - self._ahead)
        elif event.name in _OF_NODE:
            data = event.data
            if event.name == "notice":
                data = data | {"text": f"{self._host}: {data.get('text', '')}"}
            yield replace(event, segment=number or 0, time=event.time - self._ahead, data=data)
