"""`nnwatch export --to`: a session's numbers as files that other programs open.

Records of one schema make one table: metrics with one number a record side by side (``step.csv``, ``val.csv``), those
with one number per layer, parameter group or bin long, a row for each (``sample.parameter.csv``). Missing is an
empty field or null and never 0; a number that is none is ``nan``, as a word where JSON has no such number.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .card import Card
from .curves import curves
from .errors import RunError
from .frame import Frame, Run
from .parser import SessionError
from .session import Reader
from .tables import ROWS, Table, Tables

_CHUNK = 1 << 20


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


def _cells(column: Any) -> list[str | None]:
    """The shortest text of each number that reads back as the same float32; None where it is missing."""
    texts, missing = column.data.astype(str), np.ma.getmaskarray(column)
    return [None if gone else str(text) for text, gone in zip(texts, missing, strict=True)]


def _rows(table: Table) -> Iterator[tuple[str | None, ...]]:
    for at in range(0, len(table.columns["step"]), ROWS):
        yield from zip(*(_cells(column[at : at + ROWS]) for column in table.columns.values()), strict=True)


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
        for run, lines in curves(frames):
            path = folder / run / f"events.out.tfevents.{run}"
            path.parent.mkdir(exist_ok=True)
            with path.open("ab") as file:
                events = RecordWriter(file)
                if not file.tell():
                    events.write(Event(file_version="brain.Event:2").SerializeToString())
                for tag, steps, times, values in lines:
                    for step, time, value in zip(steps, times, values, strict=True):
                        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
                        events.write(Event(wall_time=time, step=step, summary=summary).SerializeToString())

    return write


def _missing(form: str, package: str) -> RunError:
    return RunError(f"--to {form} needs {package}, which is not installed; pip install 'nnwatch[export]'")


_FORMS: dict[str, Callable[[], _Write]] = {
    "csv": lambda: _csv,
    "jsonl": lambda: _jsonl,
    "parquet": _parquet,
    "tensorboard": _tensorboard,
}
