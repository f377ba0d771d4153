"""TensorBoard's event files, read by tensorboard itself: scalars, as ``simple_value`` or as tensors of one number.

A run is a folder with event files; Keras's ``train`` and ``validation`` folders are one run. Several files of one
folder (a training that was gone on with) follow each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nnwatch.frame import End

from .log import LogError, Row, flat

PARTS = ("train", "validation")
"""Folders that Keras's callback makes in one for a run."""
NEEDED = "TensorBoard's event files need tensorboard, which is not installed here; pip install 'nnwatch[logs]'"


class TensorBoard:
    name = "TensorBoard"

    @staticmethod
    def runs(folder: Path, files: list[str], folders: list[str]) -> Iterator[Path]:
        if any("tfevents" in name for name in files):
            yield folder.parent if folder.name in PARTS else folder

    @staticmethod
    def files(run: Path) -> list[Path]:
        if run.is_file():
            return [run]
        parts = (path for part in PARTS for path in (run / part).glob("*tfevents*"))
        found = (path for path in (*run.glob("*tfevents*"), *parts) if path.is_file())
        return sorted(found, key=lambda path: path.name)  # their names begin with the time at which they were made

    @staticmethod
    def open(run: Path) -> TensorBoardRun:
        return TensorBoardRun(run)


class TensorBoardRun:
    planned: int | None = None
    end: End | None = None

    def __init__(self, run: Path) -> None:
        try:
            from tensorboard.compat.tensorflow_stub import errors
            from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New
        except ImportError:
            raise LogError(f"{run}: {NEEDED}") from None
        self._errors = errors
        self._open = PyRecordReader_New
        self._run = run
        self._readers: dict[Path, Any] = {}
        self._flaws: dict[Path, str] = {}
        folder = run if run.is_dir() else run.parent
        self.settings: dict[str, Any] = dict(flat(folder / "hparams.yaml"))

    @property
    def flaw(self) -> str | None:
        return next(iter(self._flaws.values()), None)

    def read(self) -> list[Row]:
        rows: list[Row] = []
        for path in TensorBoard.files(self._run):
            if path not in self._readers:
                self._readers[path] = self._open(str(path))
            prefix = f"{path.parent.name}/" if path.parent != self._run and self._run.is_dir() else ""
            rows += self._events(path, prefix)
        if any(path.parent != self._run for path in self._readers):
            rows.sort(key=lambda row: row.time)
        return rows

    def _events(self, path: Path, prefix: str) -> Iterator[Row]:
        from google.protobuf.message import DecodeError
        from tensorboard.compat.proto.event_pb2 import Event

        reader = self._readers[path]
        while True:
            try:
                reader.GetNext()
            except self._errors.OutOfRangeError:
                self._flaws.pop(path, None)
                return
            except self._errors.DataLossError as error:
                what = "cut off in its last record" if "truncated" in str(error) else "damaged, the rest is left out"
                self._flaws[path] = f"{path}: {what}"
                return
            try:
                event = Event.FromString(reader.record())
            except DecodeError:
                self._flaws[path] = f"{path}: a record is no event and was left out"
                continue
            for value in event.summary.value:
                number = self._number(value)
                if number is not None:
                    yield Row(event.step, event.wall_time, {prefix + value.tag: number})

    def _number(self, value: Any) -> float | None:
        """The scalar of a Summary.Value, None of a histogram, a picture or a text."""
        kind = value.WhichOneof("value")
        if kind == "simple_value":
            return float(value.simple_value)
        if kind != "tensor" or value.tensor.tensor_shape.dim:
            return None
        from tensorboard.util.tensor_util import make_ndarray

        try:
            array = make_ndarray(value.tensor)
            return float(array) if array.dtype.kind in "fiu" else None
        except (TypeError, ValueError):
            return None
