"""Into the ring: schemas and labels declared once, then plain numbers."""

from __future__ import annotations

import os
import struct
import time
from collections import deque
from collections.abc import Sequence
from threading import get_ident
from typing import Any, NamedTuple

import numpy as np

from nnwatch.metric import Field, describe
from nnwatch.ring import RingError, Writer

SHARE = 8
"""A ring takes at most this part (1/8) of the space that is free where it lies."""
SMALLEST = 64 << 10
"""A ring below this many bytes would drop more than it holds."""
EARLY = 512
"""Records and events kept from before there is a ring, the last ones."""


Column = tuple[str, int, Any]
"""Metric, id of the labels along its axis (0: none), one number or an array of them."""


HEAD = struct.Struct("<qqd")
"""Of a record: segment, step, time."""
_NOTHING = np.empty(0, np.float32)


class Schema(NamedTuple):
    """What one record holds. ``pack(segment, step, time, *values)`` makes the payload of a record of plain floats."""

    id: int
    fields: tuple[Field, ...]
    layout: struct.Struct


def start_ticks() -> int:
    """Start time of this process in clock ticks since boot (field 22 of /proc/PID/stat, proc(5))."""
    with open("/proc/self/stat", "rb") as file:
        return int(file.read().rsplit(b")", 1)[1].split()[19])


class Emitter:
    """The training thread's pen. Opens its ring at the first segment; says nothing when it cannot have one.

    What comes before the first segment is written with it. ``rings`` are folders, best first; ``size`` is the wanted
    ring in bytes.
    """

    def __init__(self, rings: Sequence[str], size: int) -> None:
        self._rings = rings
        self._size = size
        self._ring: Writer | None = None
        self._thread = 0
        self._told = 0
        self._labels: dict[tuple[tuple[str, ...], tuple[str, ...]], int] = {}
        self._schemas: dict[tuple[str, tuple[Field, ...]], Schema] = {}
        self._early: deque[tuple[str, float, Sequence[Column] | dict[str, Any]]] = deque(maxlen=EARLY)
        self._kinds: dict[str, dict[str, Field]] = {}
        self._latest: dict[str, Schema] = {}
        self.segment = -1
        self.rank = 0

    def open_segment(self, reason: str, rank: int, first: int = 0) -> bool:
        """Begin a segment after ``first`` steps, with a ring for it if this is the process's first. False when no
        ring can be had."""
        if self._ring is None and not self._open():
            return False
        assert self._ring is not None
        self.segment += 1
        self._kinds.clear()
        self._latest.clear()
        self._ring.set_rank(rank)
        self.rank = rank
        opened = self._ring.declare(
            {
                "kind": "segment",
                "segment": self.segment,
                "rank": rank,
                "reason": reason,
                "first_step": first,
                "time": time.time(),
            }
        )
        while self._early:
            name, when, data = self._early.popleft()
            if isinstance(data, dict):
                self._event(name, first, when, data)
            else:
                self.columns(name, first, when, data)
        return opened

    def _open(self) -> bool:
        pid, start = os.getpid(), start_ticks()
        for folder in self._rings:
            try:
                space = os.statvfs(folder)
                size = min(self._size, space.f_bavail * space.f_frsize // SHARE)
                if size >= SMALLEST:
                    self._ring = Writer(os.path.join(folder, f"{pid}-{start}.ring"), size, pid, start)
                    self._thread = get_ident()
                    for (names, notes), number in self._labels.items():
                        self._declare_labels(self._ring, number, names, notes)
                    return True
            except (OSError, RingError):
                continue
        return False

    @property
    def on(self) -> bool:
        return self._ring is not None

    def forget(self) -> None:
        """Let go of a ring that a fork inherited: it is the parent's, nothing may be written to it."""
        self._ring = None
        self.segment = -1
        self._labels.clear()
        self._schemas.clear()
        self._kinds.clear()
        self._latest.clear()
        self._early.clear()

    def labels(self, names: Sequence[str], notes: Sequence[str] = ()) -> int:
        """Id of a list of names along an axis, declared the first time."""
        key = tuple(names), tuple(notes)
        number = self._labels.get(key)
        if number is None:
            number = self._labels[key] = len(self._labels) + 1
            if self._ring is not None:
                self._declare_labels(self._ring, number, *key)
        return number

    def _declare_labels(self, ring: Writer, number: int, names: Sequence[str], notes: Sequence[str]) -> None:
        ring.declare({"kind": "labels", "id": number, "names": names, "notes": notes})

    def schema(self, name: str, fields: tuple[Field, ...]) -> Schema:
        """The schema of these fields, declared the first time. Raises KeyError for a metric not in the table."""
        schema = self._schemas.get((name, fields))
        if schema is None:
            for field in fields:
                describe(field.metric)
            number = len(self._schemas) + 1
            layout = struct.Struct(f"<qqd{sum(field.width for field in fields)}f")
            schema = self._schemas[name, fields] = Schema(number, fields, layout)
            if self._ring is not None:
                self._ring.declare({"kind": "schema", "id": number, "name": name, "fields": [list(f) for f in fields]})
        return schema

    def numbers(self, schema: Schema, step: int, when: float, *values: float) -> None:
        """One record of plain floats, in the order of the schema's fields."""
        ring = self._ring
        if ring is not None and get_ident() == self._thread:
            try:
                payload = schema.layout.pack(self.segment, step, when, *values)
            except OverflowError:  # a float64 beyond float32
                with np.errstate(over="ignore"):
                    payload = HEAD.pack(self.segment, step, when) + np.array(values, np.float32).tobytes()
            ring.write(schema.id, payload)

    def latest(self, name: str) -> Schema | None:
        """The schema of this kind's next record, unless that has more; None before there was one in this segment."""
        return self._latest.get(name)

    def record(self, schema: int, payload: bytes) -> None:
        """One record of the schema with this id, already packed."""
        if self._ring is not None and get_ident() == self._thread:
            self._ring.write(schema, payload)

    def place(self) -> tuple[int, int, int, int, int] | None:
        """Where a record may be written by other means: ``Writer.place``, the thread that may, and the segment."""
        return (*self._ring.place(), self._thread, self.segment) if self._ring is not None else None

    def columns(self, name: str, step: int, when: float, columns: Sequence[Column]) -> None:
        """One record of arrays. A metric that an earlier record of this kind had and this one has not is NaN, so that
        a kind keeps its schema: records of one metric in two schemas would reach the reader out of order."""
        if self._ring is None:
            self._early.append((name, when, columns))
            return
        if get_ident() != self._thread or not columns:
            return
        known = self._kinds.setdefault(name, {})
        parts: dict[str, Any] = {}
        with np.errstate(over="ignore"):
            for metric, labels, values in columns:
                one = type(values) is float  # most are, and an array of each would cost ten times as much
                parts[metric] = part = values if one else np.asarray(values, np.float32).reshape(-1)
                width = 1 if one else len(part)
                field = known.get(metric)
                if field is None or field.labels != labels or field.width < width:
                    known[metric] = Field(metric, max(width, field.width if field else 0), labels)
            schema = self._latest[name] = self.schema(name, tuple(known.values()))
            payload = np.full(sum(field.width for field in schema.fields), np.nan, np.float32)
            at = 0
            for metric, width, _ in schema.fields:
                found = parts.get(metric, _NOTHING)
                payload[at : at + (1 if type(found) is float else len(found))] = found
                at += width
        self._ring.write(schema.id, HEAD.pack(self.segment, step, when) + payload.tobytes())
        if self._ring.dropped > self._told and self._event("overflow", step, when, {"dropped": self._ring.dropped}):
            self._told = self._ring.dropped

    def event(self, name: str, step: int, data: dict[str, Any]) -> None:
        self._event(name, step, time.time(), data)

    def _event(self, name: str, step: int, when: float, data: dict[str, Any]) -> bool:
        if self._ring is None:
            self._early.append((name, when, data))
            return False
        return self._ring.event({"name": name, "segment": self.segment, "step": step, "time": when, "data": data})

    def close(self) -> None:
        """The process ends well: say so, and write no more."""
        if self._ring is not None:
            self._ring.close()
            self._ring = None
