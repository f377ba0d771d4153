"""W&B's ``run-ID.wandb``, as an offline run (and, until it is synchronised, an online one) writes it.

A LevelDB log (github.com/google/leveldb, doc/log_format.md) behind seven bytes of W&B's own, of protobuf records
(wandb_internal.proto). wandb 0.31 has no reader for it in Python any more, and its schema can only be had by importing
all of wandb; the few fields that matter have had these numbers since 2020, so they are read directly.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nnwatch.frame import End

from .log import LogError, Row

_MAGIC = b":W&B"
_PREFACE = 7
_BLOCK = 1 << 15
_HEAD = struct.Struct("<IHB")  # checksum, length, kind
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_HISTORY, _CONFIG, _RUN, _EXIT = 2, 5, 17, 18
"""Fields of Record."""


class Wandb:
    name = "W&B"

    @staticmethod
    def runs(folder: Path, files: list[str], folders: list[str]) -> Iterator[Path]:
        for name in files:
            if name.startswith("run-") and name.endswith(".wandb"):
                yield folder / name

    @staticmethod
    def files(run: Path) -> list[Path]:
        return [run]

    @staticmethod
    def open(run: Path) -> WandbRun:
        return WandbRun(run)


class WandbRun:
    planned: int | None = None

    def __init__(self, run: Path) -> None:
        self._path = run
        self._at = _PREFACE
        self._part = b""
        self._rows = 0
        self.settings: dict[str, Any] = {}
        self.end: End | None = None
        self.flaw: str | None = None
        with run.open("rb") as file:
            head = file.read(_PREFACE)
        if not head or (len(head) < _PREFACE and _MAGIC.startswith(head[:4])):
            raise LogError(f"{run}: cut off before anything was logged")
        if not head.startswith(_MAGIC):
            raise LogError(f"{run}: does not begin as W&B's files do; give the run-*.wandb of the run's folder")

    def read(self) -> list[Row]:
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = file.read()
        rows: list[Row] = []
        for record in self._records(data):
            try:
                rows += self._record(record)
            except (ValueError, IndexError, struct.error) as error:
                self.flaw = f"{self._path}: a record cannot be read and was left out ({error})"
        return rows

    def _records(self, data: bytes) -> Iterator[bytes]:
        """Payloads that are whole now; a torn last one waits for the rest of it. Damage ends its block."""
        base, at = self._at, 0
        self.flaw = None
        while True:
            left = _BLOCK - (base + at) % _BLOCK
            if left < _HEAD.size:
                at += left  # the end of a block is filled with zeros
            if at + _HEAD.size > len(data):
                break
            checksum, length, kind = _HEAD.unpack_from(data, at)
            end = at + _HEAD.size + length
            if not _FULL <= kind <= _LAST or length > left - _HEAD.size:
                end, kind = at + left, 0
            if end > len(data):
                if kind == 0:
                    self.flaw = f"{self._path}: damaged at byte {base + at}"
                break
            part = data[at + _HEAD.size : end]
            if kind == 0 or zlib.crc32(part, zlib.crc32(bytes([kind]))) != checksum:
                self.flaw = f"{self._path}: damaged at byte {base + at}, what could not be read was left out"
                self._part = b""
            else:
                self._part = part if kind in (_FULL, _FIRST) else self._part + part
                if kind in (_FULL, _LAST):
                    yield self._part
            at = end
        self._at = base + min(at, len(data))
        if at < len(data):
            self.flaw = self.flaw or f"{self._path}: cut off at byte {self._at}, in the middle of a record"

    def _record(self, record: bytes) -> Iterator[Row]:
        for field, value in _fields(record):
            if field == _HISTORY:
                yield from self._history(value)
            elif field == _CONFIG:
                self._config(value)
            elif field == _RUN:
                for part, config in _fields(value):
                    if part == 4:
                        self._config(config)
            elif field == _EXIT:
                code = next((number for part, number in _fields(value) if part == 1), 0)
                self.end = End(self._path.stat().st_mtime, "failed" if code else "finished", exit=int(code))

    def _history(self, message: bytes) -> Iterator[Row]:
        items = dict(_item(value) for field, value in _fields(message) if field == 1)
        values = {name: float(value) for name, value in items.items() if _number(value)}
        step, time = values.pop("_step", math.nan), values.pop("_timestamp", math.nan)
        step = int(step) if math.isfinite(step) else self._rows
        time = time if 0 < time < math.inf else self._path.stat().st_mtime
        values.pop("_runtime", None)
        self._rows = step + 1
        yield Row(step, time, values)

    def _config(self, message: bytes) -> None:
        for field, value in _fields(message):
            if field == 1:
                name, known = _item(value)
                if name != "_wandb":
                    self.settings[name] = known


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _item(message: bytes) -> tuple[str, Any]:
    """Name and value of a HistoryItem or ConfigItem; nested names are joined by dots."""
    name, path, value = "", [], None
    for field, part in _fields(message):
        if field == 1:
            name = part.decode()
        elif field == 2:
            path.append(part.decode())
        elif field == 16:
            value = json.loads(part)
    return name or ".".join(path), float(value) if value in ("NaN", "Infinity", "-Infinity") else value


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Field numbers and values of a protobuf message: bytes, or an unsigned integer. Raises ValueError, IndexError."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        size, at = _varint(message, at) if kind == 2 else ({1: 8, 5: 4}.get(kind, -1), at)
        if size < 0 or at + size > len(message):
            raise ValueError(f"no field at byte {at}")
        yield number, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
