"""CSV with a header: Lightning's ``metrics.csv``, Keras's CSVLogger, tables of one's own.

A row is one step. The column that counts is the first of ``COUNTS`` that is there; without one the rows are counted.
Rows say no time: they have that of the file when they were read, or of a column of ``TIMES``.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nnwatch.frame import End

from .log import LogError, Row, flat
from .names import metric_of

COUNTS = ("step", "global_step", "_step", "iteration", "iter", "batch", "update", "epoch")
TIMES = ("_timestamp", "timestamp", "wall_time", "time")
_HEAD = 1 << 14
_EPOCHS = 1e8
"""Smallest number that can be seconds since 1970: smaller ones are seconds since some start."""


class Table:
    name = "CSV"

    @staticmethod
    def runs(folder: Path, files: list[str], folders: list[str]) -> Iterator[Path]:
        for name in files:
            if name.endswith(".csv"):
                path = folder / name
                try:
                    with path.open("rb") as file:
                        columns = _columns(file.readline(_HEAD))
                except OSError:
                    continue
                if _counting(columns) and any(_outcome(column) for column in columns):
                    yield path

    @staticmethod
    def files(run: Path) -> list[Path]:
        return [run]

    @staticmethod
    def open(run: Path) -> TableRun:
        return TableRun(run)


def _columns(line: bytes) -> list[str]:
    """Names of the columns; none where the line is not whole, or holds numbers."""
    if not line.endswith(b"\n"):
        return []
    names = next(iter(csv.reader([line.decode("utf-8-sig", "replace").rstrip("\r\n")], delimiter=_delimiter(line))), [])
    return [] if any(re.fullmatch(r"[-+.\deE]+", name) for name in names if name) else [name.strip() for name in names]


def _delimiter(line: bytes) -> str:
    return max(",;\t", key=lambda mark: line.count(mark.encode()))


def _counting(columns: list[str]) -> str | None:
    known = {column.lower(): column for column in reversed(columns)}
    return next((known[name] for name in COUNTS if name in known), None)


def _outcome(column: str) -> bool:
    return (metric_of(column) or "").startswith(("loss", "accuracy"))


class TableRun:
    planned: int | None = None
    end: End | None = None

    def __init__(self, run: Path) -> None:
        self._path = run
        self._head = b""
        self._rows = 0
        self._start: float | None = None
        self._odd = self._torn = ""
        self.settings: dict[str, Any] = dict(flat(run.with_name("hparams.yaml")))
        with run.open("rb") as file:
            if not self._begin(file.readline(_HEAD)):
                raise LogError(f"{run}: its first line is no whole header of a CSV table, such as step,loss,val_loss")

    def _begin(self, head: bytes) -> bool:
        """The columns; they are others when Lightning has written the file anew for a name that came late."""
        self._columns = _columns(head)
        self._mark, self._count = _delimiter(head), _counting(self._columns)
        known = {column.lower(): column for column in self._columns}
        self._time = next((known[name] for name in TIMES if name in known), None)
        self._told, self._head, self._at, self._line = self._rows, head, len(head), 1
        return bool(self._columns)

    @property
    def flaw(self) -> str | None:
        return self._odd or self._torn or None

    def read(self) -> list[Row]:
        with self._path.open("rb") as file:
            head = file.readline(_HEAD)
            if head != self._head and not (head.endswith(b"\n") and self._begin(head)):
                return []  # it is being written anew
            now = self._path.stat().st_mtime
            file.seek(self._at)
            whole, newline, torn = file.read().rpartition(b"\n")
        self._at += len(whole) + len(newline)
        self._torn = f"{self._path}: its last line is not whole and was left out" if torn else ""
        rows = []
        for line in csv.reader(whole.decode("utf-8", "replace").replace("\0", "?").splitlines(), delimiter=self._mark):
            self._line += 1
            if len(line) == len(self._columns):
                rows.append(self._row(dict(zip(self._columns, line, strict=True)), now))
            elif line:
                self._odd = f"{self._path}: line {self._line} has {len(line)} fields for {len(self._columns)} columns"
        again = min(self._told, len(rows))  # rows of before the file was written anew
        self._told -= again
        return rows[again:]

    def _row(self, cells: dict[str, str], now: float) -> Row:
        values = {name: number for name, cell in cells.items() if (number := _number(cell)) is not None}
        step = values.pop(self._count, None) if self._count else None
        self._rows += not self._told
        time = values.pop(self._time, None) if self._time else None
        if time is not None and not math.isfinite(time):
            time = None
        if time is not None and time < _EPOCHS:
            self._start = now - time if self._start is None else self._start
            time += self._start
        if step is None or not math.isfinite(step):
            step = self._rows
        return Row(int(step), now if time is None else time, values)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None  # empty, or a text
