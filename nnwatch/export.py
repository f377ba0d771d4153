"""`nnwatch export --to`: a session's numbers as files that other programs open.

Records of one schema make one table: metrics with one number a record side by side (``step.csv``, ``val.csv``), those
with one number per layer, parameter group or bin long, a row for each (``sample.parameter.csv``). Missing is an
empty field or null and never 0; a number that is none is ``nan``, as a word where JSON has no such number.
"""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .frame import Block, Frame, Labels, Run, Schema, Segment
from .history import History, unpacked
from .metric import METRICS
from .parser import SessionError
from .runs import Card, RunError
from .session import Reader

Columns = dict[str, Any]
"""Masked arrays (n,) by name; masked where a record has no such metric."""
_ROWS = 1 << 14
"""Rows that are made at a time: what is held does not grow with the run, and text takes ten times its numbers."""
_CHUNK = 1 << 20
_EVALUATED = ("loss.val", "accuracy.val", "val.size", "val.order")


class Table(NamedTuple):
    """Some rows of the table of this name."""

    name: str
    columns: Columns


class Recording:
    """All frames of a run so far, in order, as often as they are asked for. Raises RunError.

    ``flaw`` is what is missing of them, if the file was found not to be whole.
    """

    def __init__(self, card: Card) -> None:
        self._card, self._path = card, card.session
        self._growing = card.state in ("running", "elsewhere")
        self.flaw: str | None = None
        if not any(isinstance(frame, Run) for frame in self):
            raise RunError(f"{self._path}: no run can be read from it, its beginning is missing or damaged")

    def __iter__(self) -> Iterator[Frame]:
        if self._card.format:
            from .logs.source import LogSource

            log = LogSource(self._card, follow=False)
            while frames := log.read():
                yield from frames
            self.flaw = log.flaw
            return
        try:
            reader = Reader(self._path)
        except SessionError as error:
            raise RunError(str(error)) from None
        try:
            while frames := reader.read(_CHUNK):
                yield from frames
            self.flaw = reader.flaw(growing=self._growing)
        finally:
            reader.close()


def export(frames: Iterable[Frame], form: str, folder: Path) -> list[Path]:
    """Write into ``folder``, which is new or empty, and return the files made. Raises RunError."""
    write = _FORMS[form]()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise RunError(f"{folder}: there is something in it already; give another folder with --out")
        write(frames, folder)
    except OSError as error:
        raise RunError(f"{error.filename or folder}: cannot be written: {error.strerror}") from None
    return sorted(path for path in folder.rglob("*") if path.is_file())


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
                if rows[name] >= _ROWS:
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
                long[_axis(field.metric), field.labels, field.width][field.metric] = part.ravel()
        if wide:
            yield schema.name, keys | wide
        for (axis, id, width), columns in long.items():
            known = self._labels[id].names if id in self._labels else []
            names = np.array([known[i] if i < len(known) else str(i) for i in range(width)])
            repeated = {key: np.repeat(column, width) for key, column in keys.items()}
            yield f"{schema.name}.{axis}", repeated | {"name": np.tile(names, n)} | columns


def _axis(metric: str) -> str:
    """``other`` for the script's own metrics and those of a newer nnwatch."""
    return METRICS[metric].axis if metric in METRICS else "other"


def _cells(column: Any) -> list[str | None]:
    """The shortest text of each number that reads back as the same float32; None where it is missing."""
    texts, missing = column.data.astype(str), np.ma.getmaskarray(column)
    return [None if gone else str(text) for text, gone in zip(texts, missing, strict=True)]


def _rows(table: Table) -> Iterator[tuple[str | None, ...]]:
    for at in range(0, len(table.columns["step"]), _ROWS):
        yield from zip(*(_cells(column[at : at + _ROWS]) for column in table.columns.values()), strict=True)


def _csv(frames: Iterable[Frame], folder: Path) -> None:
    for table in Tables(frames):
        with (folder / f"{table.name}.csv").open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if not file.tell():
                writer.writerow(table.columns)
            writer.writerows(_rows(table))


def _jsonl(frames: Iterable[Frame], folder: Path) -> None:
    for table in Tables(frames):
        kinds = [column.dtype.kind for column in table.columns.values()]
        with (folder / f"{table.name}.jsonl").open("a", encoding="utf-8") as file:
            for row in _rows(table):
                record = dict(zip(table.columns, map(_json, row, kinds), strict=True))
                file.write(json.dumps(record, allow_nan=False) + "\n")


def _json(cell: str | None, kind: str) -> int | float | str | None:
    if cell is None or kind == "U":
        return cell
    if kind == "i":
        return int(cell)
    number = float(cell)
    return number if math.isfinite(number) else cell


_Write = Callable[[Iterable[Frame], Path], None]


def _parquet() -> _Write:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise _missing("parquet", "pyarrow") from None

    def write(frames: Iterable[Frame], folder: Path) -> None:
        files: dict[str, Any] = {}
        try:
            for name, columns in Tables(frames):
                rows = pyarrow.table(
                    {key: pyarrow.array(part.data, mask=np.ma.getmaskarray(part)) for key, part in columns.items()}
                )
                if name not in files:
                    files[name] = parquet.ParquetWriter(folder / f"{name}.parquet", rows.schema)
                files[name].write_table(rows)
        finally:
            for file in files.values():
                file.close()

    return write


def _tensorboard() -> _Write:
    """Curves: a run for each segment and rank; not the bins and single samples, which are none."""
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter
    except ImportError:
        raise _missing("tensorboard", "tensorboard") from None

    def write(frames: Iterable[Frame], folder: Path) -> None:
        for run, curves in _curves(frames):
            path = folder / run / f"events.out.tfevents.{run}"
            path.parent.mkdir(exist_ok=True)
            with path.open("ab") as file:
                events = RecordWriter(file)
                if not file.tell():
                    events.write(Event(file_version="brain.Event:2").SerializeToString())
                for tag, steps, times, values in curves:
                    for step, time, value in zip(steps, times, values, strict=True):
                        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
                        events.write(Event(wall_time=time, step=step, summary=summary).SerializeToString())

    return write


_Curve = tuple[str, Any, Any, Any]
"""Tag, steps, times, values."""


def _curves(frames: Iterable[Frame]) -> Iterator[tuple[str, list[_Curve]]]:
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
                curves: list[_Curve] = []
                at = 0
                for metric, width, names in ((field.metric, field.width, field.labels) for field in schema.fields):
                    if metric not in _EVALUATED and _axis(metric) not in ("bin", "row"):
                        known = labels[names].names if names in labels else []
                        for i in range(width):
                            name = known[i] if i < len(known) else str(i)
                            tag = f"{metric}/{name}" if width > 1 else metric
                            curves.append((tag, steps, times, values[:, at + i]))
                    at += width
                run = f"segment-{frame.segment}.rank-{frame.rank}" if schema.name != "system" else "system"
                yield run, curves
    for (segment, rank), track in evaluated.tracks.items():
        passes = track.evaluations()
        means = (("loss.val", passes.loss), ("accuracy.val", passes.accuracy))
        found = [(metric, passes.steps, passes.times, mean) for metric, mean in means if metric in track]
        if found:
            yield f"segment-{segment}.rank-{rank}", found


def _missing(form: str, package: str) -> RunError:
    return RunError(f"--to {form} needs {package}, which is not installed; pip install 'nnwatch[export]'")


_FORMS: dict[str, Callable[[], _Write]] = {
    "csv": lambda: _csv,
    "jsonl": lambda: _jsonl,
    "parquet": _parquet,
    "tensorboard": _tensorboard,
}
