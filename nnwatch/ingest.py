"""From the rings of a job to the frames of its session.

Each process numbers its segments, schemas and label lists for itself; a session has one numbering. Equal
schemas and label lists share an id (the ranks of one job declare the same ones), and segments are recognised
by the process and time they began in, so a new monitor that reads the same rings again arrives at the same ids.
"""

from __future__ import annotations

import contextlib
import json
import math
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .frame import Block, Event, FieldSpec, Frame, Labels, Schema, Segment
from .process import Process
from .ring import EVENT, Cursor, Reader, RingError

_MOST = 50_000
"""Records read from one ring in one flush; the rest comes with the next."""
_SEGMENT = struct.Struct("<q")


class Ids:
    """The session's numbers for what the rings call their own."""

    def __init__(self) -> None:
        self._labels: dict[tuple[Any, ...], int] = {}
        self._schemas: dict[tuple[Any, ...], int] = {}
        self._segments: dict[tuple[int, int, int, float], int] = {}  # (node, rank, pid, time) to the session's number
        self._began: dict[int, float] = {}  # when the first rank of each did
        self._local: dict[int, int] = {}  # the session's number to the one the processes use
        self._taken: set[tuple[int, int]] = set()  # (segment, rank)

    def learn(self, frame: Frame) -> None:
        """Take in a frame that an earlier monitor wrote."""
        if isinstance(frame, Labels):
            self._labels[_labels_key(frame)] = frame.id
        elif isinstance(frame, Schema):
            self._schemas[_schema_key(frame)] = frame.id
        elif isinstance(frame, Segment):
            self._open(frame)

    def labels(self, names: list[str], notes: list[str]) -> tuple[int, Labels | None]:
        """The id of a label list, and the frame that introduces it if it is new."""
        frame = Labels(len(self._labels) + 1, names, notes)
        known = self._labels.setdefault(_labels_key(frame), frame.id)
        return known, frame if known == frame.id else None

    def schema(self, name: str, fields: list[FieldSpec]) -> tuple[int, Schema | None]:
        """The id of a schema, and the frame that introduces it if it is new."""
        frame = Schema(len(self._schemas) + 1, name, fields)
        known = self._schemas.setdefault(_schema_key(frame), frame.id)
        return known, frame if known == frame.id else None

    def segment(
        self, entry: dict[str, Any], pid: int, node: int = 0, host: str = "", since: float = -math.inf
    ) -> tuple[int, Segment | None]:
        """The session's number of a segment, and the frame that opens it if it is new.

        The ranks of one launch meet in one segment: the first that has the same number in its own process, nothing
        from this rank yet, and did not begin before the job of this rank's node was started, at ``since``.
        """
        rank, local, time = int(entry["rank"]), int(entry["segment"]), float(entry["time"])
        known = self._segments.get((node, rank, pid, time))
        if known is not None:
            self._local[known] = local
            return known, None
        number = 0
        while (
            (number, rank) in self._taken
            or self._local.get(number, local) != local
            or self._began.get(number, math.inf) < since
        ):
            number += 1
        self._local[number] = local
        reason, first = str(entry.get("reason", "start")), int(entry["first_step"])
        self._open(frame := Segment(number, rank, pid, time, reason, first, node, host))
        return number, frame

    def _open(self, frame: Segment) -> None:
        self._segments[frame.node, frame.rank, frame.pid, frame.time] = frame.segment
        self._taken.add((frame.segment, frame.rank))
        self._began[frame.segment] = min(frame.time, self._began.get(frame.segment, math.inf))


def _labels_key(frame: Labels) -> tuple[Any, ...]:
    return (*frame.names, None, *frame.notes)


def _schema_key(frame: Schema) -> tuple[Any, ...]:
    return (frame.name, *((f.metric, f.width, f.labels) for f in frame.fields))


class _Feed:
    """One ring."""

    def __init__(self, reader: Reader, ids: Ids) -> None:
        self.reader = reader
        self.process = Process(reader.pid, reader.start)
        self.done = False
        self._ids = ids
        self._labels: dict[int, int] = {0: 0}
        self._schemas: dict[int, tuple[int, int]] = {}  # to the session's id and the width of a record
        self._segments: dict[int, tuple[int, int]] = {}  # to the session's segment and rank

    def read(self) -> Iterator[Frame]:
        yield from self._catalogue()
        groups: dict[tuple[int, bytes], list[bytes]] = {}
        for schema, _, payload in self.reader.records(_MOST):
            if schema == EVENT:
                yield from self._event(payload)
                continue
            if schema not in self._schemas:  # declared since we looked
                yield from self._catalogue()
                if schema not in self._schemas:
                    continue  # the catalogue was full
            key = schema, payload[: _SEGMENT.size]
            if key in groups:
                groups[key].append(payload)
            else:
                groups[key] = [payload]
        for (schema, segment), payloads in groups.items():
            [local] = _SEGMENT.unpack(segment)
            if local not in self._segments:
                yield from self._catalogue()
            if local in self._segments:
                id, width = self._schemas[schema]
                yield _block(id, *self._segments[local], _records(width, payloads))

    def _catalogue(self) -> Iterator[Frame]:
        new: Frame | None = None
        for entry in self.reader.catalogue():
            kind = entry.get("kind")
            if kind == "labels":
                self._labels[entry["id"]], new = self._ids.labels(entry["names"], entry.get("notes", []))
            elif kind == "schema":
                fields = [FieldSpec(m, w, self._labels.get(labels, 0)) for m, w, labels in entry["fields"]]
                id, new = self._ids.schema(entry["name"], fields)
                self._schemas[entry["id"]] = id, sum(field.width for field in fields)
            elif kind == "segment":
                number, new = self._ids.segment(entry, self.reader.pid)
                self._segments[entry["segment"]] = number, entry["rank"]
            if new is not None:
                yield new

    def _event(self, payload: bytes) -> Iterator[Frame]:
        data = json.loads(payload)
        local = int(data.get("segment", 0))
        if local not in self._segments:
            yield from self._catalogue()
        segment, rank = self._segments.get(local, (0, self.reader.rank or 0))
        yield Event(data["name"], data["time"], int(data.get("step", 0)), segment, rank, data.get("data") or {})


def _records(width: int, payloads: list[bytes]) -> Any:
    dtype = np.dtype([("segment", "<i8"), ("step", "<i8"), ("time", "<f8"), ("values", "<f4", (width,))])
    return np.frombuffer(b"".join([p for p in payloads if len(p) == dtype.itemsize]), dtype)


def _block(schema: int, segment: int, rank: int, records: Any) -> Block:
    columns = np.ascontiguousarray(records["values"].T)
    steps, times = records["step"].tobytes(), records["time"].tobytes()
    return Block(schema, segment, rank, len(records), steps, times, columns.tobytes())


class Ingest:
    """All rings of a job. ``cursors`` and ``dropped`` say how far they were read, for the Commit."""

    def __init__(self, folders: Iterable[str], cursors: dict[str, tuple[int, int]], dropped: int, ids: Ids) -> None:
        self._folders = [Path(folder) for folder in folders]
        self._resume = cursors
        self._ids = ids
        self._feeds: dict[str, _Feed] = {}
        self._gone = 0  # records dropped by rings that are removed
        self.seen = bool(cursors)
        """Whether any process of the job has opened a ring, that is, run a backward pass."""
        self._find()
        self._gone = max(0, dropped - self.dropped)

    @property
    def cursors(self) -> dict[str, tuple[int, int]]:
        cursors = ((name, feed.reader.cursor) for name, feed in self._feeds.items())
        return {name: (at.position, at.sequence) for name, at in cursors}

    @property
    def dropped(self) -> int:
        return self._gone + sum(feed.reader.dropped for feed in self._feeds.values())

    def _find(self) -> None:
        for folder in self._folders:
            for path in folder.glob("*.ring"):
                if path.name not in self._feeds:
                    with contextlib.suppress(RingError):  # not finished yet: next time
                        reader = Reader(str(path), Cursor(*self._resume.get(path.name, (0, 0))))
                        self._feeds[path.name] = _Feed(reader, self._ids)
                        self.seen = True

    def read(self) -> list[Frame]:
        """Frames of the records that came since the last call."""
        self._find()
        frames: list[Frame] = []
        for feed in self._feeds.values():
            gone, before = not feed.process.alive, len(frames)
            frames.extend(feed.read())
            feed.done = gone and len(frames) == before
        return frames

    def release(self) -> None:
        """What was read is safe: give the space back, and remove the rings of processes that are gone and read out."""
        for name, feed in list(self._feeds.items()):
            feed.reader.release()
            if feed.done:
                self._gone += feed.reader.dropped
                feed.reader.close()
                Path(feed.reader.path).unlink(missing_ok=True)
                del self._feeds[name]
