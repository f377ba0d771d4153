"""The records of a session as tables: those of one schema side by side, or long where a metric has many numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .frame import Block, Frame, Labels, Schema
from .history import unpacked
from .metric import METRICS

Columns = dict[str, Any]
"""Masked arrays (n,) by name; masked where a record has no such metric."""
ROWS = 1 << 14
"""Rows that are made at a time: what is held does not grow with the run, and text takes ten times its numbers."""


class Table(NamedTuple):
    """Some rows of the table of this name."""

    name: str
    columns: Columns


class Tables:
    """Every record of every block, piece by piece, in the order of the file.

    ``frames`` is gone through once for the columns of each table, and once for its rows.
    """

    def __init__(self, frames: Iterable[Frame]) -> None:
        self._frames = frames
        self._schemas: dict[int, Schema] = {}
        self._labels: dict[int, Labels] = {}
        used: dict[int, None] = {}
        for frame in frames:
            match frame:
                case Schema():
                    self._schemas[frame.id] = frame
                case Labels():
                    self._labels[frame.id] = frame
                case Block() if frame.schema in self._schemas:
                    used[frame.schema] = None
        fields = [field for schema in self._schemas.values() for field in schema.fields]
        self._many = {field.metric for field in fields if field.width > 1 or field.labels}
        self.columns: dict[str, dict[str, None]] = defaultdict(dict)
        for schema in used:
            for name, columns in self._parts(Block(schema, 0, 0, 0, b"", b"", b"")):
                self.columns[name] |= dict.fromkeys(columns)

    def __iter__(self) -> Iterator[Table]:
        waiting: dict[str, list[Columns]] = defaultdict(list)
        rows: dict[str, int] = defaultdict(int)
        for frame in self._frames:
            if not isinstance(frame, Block):
                continue
            for name, columns in self._parts(frame):
                waiting[name].append(columns)
                rows[name] += len(columns["step"])
                if rows[name] >= ROWS:
                    yield self._table(name, waiting.pop(name))
                    rows[name] = 0
        for name, chunks in waiting.items():
            yield self._table(name, chunks)

    def _table(self, name: str, chunks: list[Columns]) -> Table:
        return Table(
            name,
            {
                column: np.ma.concatenate(  # type: ignore[no-untyped-call]
                    [chunk.get(column, np.ma.masked_all(len(chunk["step"]), np.float32)) for chunk in chunks]  # type: ignore[no-untyped-call]
                )
                for column in self.columns[name]
            },
        )

    def _parts(self, block: Block) -> Iterator[tuple[str, Columns]]:
        """A block as the wide part of its table and the long ones, one for each axis."""
        schema = self._schemas.get(block.schema)
        records = unpacked(block, schema) if schema is not None else None
        if schema is None or records is None:
            return
        steps, times, values = records
        n = len(steps)
        keys = {"segment": np.full(n, block.segment), "rank": np.full(n, block.rank), "step": steps, "time": times}
        wide: Columns = {}
        long: dict[tuple[str, int, int], Columns] = defaultdict(dict)
        at = 0
        for field in schema.fields:
            part = values[:, at : at + field.width]
            at += field.width
            if field.metric not in self._many:
                wide[field.metric] = part[:, 0]
            else:
                long[axis_of(field.metric), field.labels, field.width][field.metric] = part.ravel()
        if wide:
            yield schema.name, keys | wide
        for (axis, id, width), columns in long.items():
            known = self._labels[id].names if id in self._labels else []
            names = np.array([known[i] if i < len(known) else str(i) for i in range(width)])
            repeated = {key: np.repeat(column, width) for key, column in keys.items()}
            yield f"{schema.name}.{axis}", repeated | {"name": np.tile(names, n)} | columns


def axis_of(metric: str) -> str:
    """``other`` for the script's own metrics and those of a newer nnwatch."""
    return METRICS[metric].axis if metric in METRICS else "other"
