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

from .frame import Block, Frame, Labels, Run, Schema
from .history import History, Track, unpacked
from .metric import METRICS
from .runs import Card, RunError
from .session import Reader, SessionError

Columns = dict[str, Any]
"""Masked arrays (n,) by name; masked where a record has no such metric."""
_ROWS = 1 << 14
"""Rows that are made text at a time: text takes ten times the memory of its numbers."""


class Table(NamedTuple):
    name: str
    columns: Columns


def read(card: Card) -> tuple[list[Frame], str | None]:
    """All frames of a run so far, and what is missing of them if the file is not whole. Raises RunError."""
    try:
        reader = Reader(card.session)
    except SessionError as error:
        raise RunError(str(error)) from None
    frames = reader.read()
    flaw = reader.flaw(growing=card.state in ("running", "elsewhere"))
    reader.close()
    if not any(isinstance(frame, Run) for frame in frames):
        raise RunError(f"{card.session}: no run can be read from it, its beginning is missing or damaged")
    return frames, flaw


def export(frames: list[Frame], form: str, folder: Path) -> list[Path]:
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


def tables(frames: Iterable[Frame]) -> list[Table]:
    """Every record of every block, in the order of the file."""
    frames = list(frames)
    many = {
        field.metric
        for frame in frames
        if isinstance(frame, Schema)
        for field in frame.fields
        if field.width > 1 or field.labels
    }
    schemas: dict[int, Schema] = {}
    labels: dict[int, Labels] = {}
    parts: dict[str, list[Columns]] = defaultdict(list)
    for frame in frames:
        match frame:
            case Schema():
                schemas[frame.id] = frame
            case Labels():
                labels[frame.id] = frame
            case Block() if schema := schemas.get(frame.schema):
                for name, columns in _parts(frame, schema, labels, many):
                    parts[name].append(columns)
    return [Table(name, _joined(chunks)) for name, chunks in parts.items()]


def _parts(block: Block, schema: Schema, labels: dict[int, Labels], many: set[str]) -> Iterator[tuple[str, Columns]]:
    """A block as the wide part of its table and the long ones, one for each axis."""
    records = unpacked(block, schema)
    if records is None:
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
        if field.metric not in many:
            wide[field.metric] = part[:, 0]
        else:
            long[_axis(field.metric), field.labels, field.width][field.metric] = part.ravel()
    if wide:
        yield schema.name, keys | wide
    for (axis, id, width), columns in long.items():
        known = labels[id].names if id in labels else []
        names = np.array([known[i] if i < len(known) else str(i) for i in range(width)])
        repeated = {key: np.repeat(column, width) for key, column in keys.items()}
        yield f"{schema.name}.{axis}", repeated | {"name": np.tile(names, n)} | columns


def _axis(metric: str) -> str:
    """``other`` for the script's own metrics and those of a newer nnwatch."""
    return METRICS[metric].axis if metric in METRICS else "other"


def _joined(chunks: list[Columns]) -> Columns:
    names = dict.fromkeys(name for chunk in chunks for name in chunk)
    return {
        name: np.ma.concatenate(  # type: ignore[no-untyped-call]
            [chunk.get(name, np.ma.masked_all(len(chunk["step"]), np.float32)) for chunk in chunks]  # type: ignore[no-untyped-call]
        )
        for name in names
    }


def _cells(column: Any) -> list[str | None]:
    """The shortest text of each number that reads back as the same float32; None where it is missing."""
    texts, missing = column.data.astype(str), np.ma.getmaskarray(column)
    return [None if gone else str(text) for text, gone in zip(texts, missing, strict=True)]


def _rows(table: Table) -> Iterator[tuple[str | None, ...]]:
    for at in range(0, len(table.columns["step"]), _ROWS):
        yield from zip(*(_cells(column[at : at + _ROWS]) for column in table.columns.values()), strict=True)


def _csv(frames: list[Frame], folder: Path) -> None:
    for table in tables(frames):
        with (folder / f"{table.name}.csv").open("x", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(table.columns)
            writer.writerows(_rows(table))


def _jsonl(frames: list[Frame], folder: Path) -> None:
    for table in tables(frames):
        kinds = [column.dtype.kind for column in table.columns.values()]
        with (folder / f"{table.name}.jsonl").open("x", encoding="utf-8") as file:
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


_Write = Callable[[list[Frame], Path], None]


def _parquet() -> _Write:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise _missing("parquet", "pyarrow") from None

    def write(frames: list[Frame], folder: Path) -> None:
        for table in tables(frames):
            columns = {
                name: pyarrow.array(column.data, mask=np.ma.getmaskarray(column))
                for name, column in table.columns.items()
            }
            parquet.write_table(pyarrow.table(columns), folder / f"{table.name}.parquet")

    return write


def _tensorboard() -> _Write:
    """Curves: a run for each segment and rank; not the bins and single samples, which are none."""
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError:
        raise _missing("tensorboard", "tensorboard") from None

    def write(frames: list[Frame], folder: Path) -> None:
        history = History()
        for frame in frames:
            history.apply(frame)
        runs = {f"segment-{segment}.rank-{rank}": track for (segment, rank), track in history.tracks.items()}
        for name, track in {**runs, "system": history.system}.items():
            writer = EventFileWriter(str(folder / name))
            for tag, steps, times, values in _curves(track):
                for step, time, value in zip(steps, times, values, strict=True):
                    summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
                    writer.add_event(Event(wall_time=time, step=step, summary=summary))
            writer.close()

    return write


def _curves(track: Track) -> Iterator[tuple[str, Any, Any, Any]]:
    """Tag, steps, times, values; of validation the means of whole evaluations: a batch is no point of a curve."""
    for metric, series in track.items():
        if _axis(metric) in ("bin", "row") or metric in ("loss.val", "accuracy.val", "val.size", "val.order"):
            continue
        for column, name in enumerate(series.names()):
            tag = metric if series.width == 1 else f"{metric}/{name}"
            yield tag, series.steps, series.times, series.values[:, column]
    passes = track.evaluations()
    for metric, means in (("loss.val", passes.loss), ("accuracy.val", passes.accuracy)):
        if metric in track:
            yield metric, passes.steps, passes.times, means


def _missing(form: str, package: str) -> RunError:
    return RunError(f"--to {form} needs {package}, which is not installed; pip install 'nnwatch[export]'")


_FORMS: dict[str, Callable[[], _Write]] = {
    "csv": lambda: _csv,
    "jsonl": lambda: _jsonl,
    "parquet": _parquet,
    "tensorboard": _tensorboard,
}
