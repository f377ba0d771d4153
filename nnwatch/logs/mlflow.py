"""MLflow's file store: a folder a run, a text file a metric. Read as it is: mlflow itself would bring a web server.

``RUN/meta.yaml`` has name, status and times in milliseconds; each line of ``RUN/metrics/NAME`` is ``time value step``;
``RUN/params/NAME`` holds a hyperparameter. Layout: mlflow's ``FileStore``, unchanged since 2018.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nnwatch.frame import End, Status

from .log import LogError, Row, flat

_STATUS: dict[str, Status] = {"3": "finished", "4": "failed", "5": "killed"}
"""RunStatus of mlflow; 1 is running and 2 scheduled."""


class Mlflow:
    name = "MLflow"

    @staticmethod
    def runs(folder: Path, files: list[str], folders: list[str]) -> Iterator[Path]:
        if "meta.yaml" in files and "metrics" in folders:
            yield folder

    @staticmethod
    def files(run: Path) -> list[Path]:
        return sorted(path for path in (run / "metrics").rglob("*") if path.is_file())

    @staticmethod
    def open(run: Path) -> MlflowRun:
        return MlflowRun(run)


class MlflowRun:
    planned: int | None = None

    def __init__(self, run: Path) -> None:
        self._run = run
        self._read: dict[Path, int] = {}
        self._torn: dict[Path, str] = {}
        self.settings: dict[str, Any] = {}
        self.end: End | None = None
        for path in sorted((run / "params").rglob("*")):
            if path.is_file():
                self.settings[str(path.relative_to(run / "params"))] = path.read_text(errors="replace").strip()
        if not flat(run / "meta.yaml"):
            raise LogError(f"{run / 'meta.yaml'}: empty or no text that can be read; copy it again")

    @property
    def flaw(self) -> str | None:
        return next(iter(self._torn.values()), None)

    def read(self) -> list[Row]:
        rows: list[Row] = []
        for path in Mlflow.files(self._run):
            rows += self._metric(path)
        self._ended()
        return sorted(rows, key=lambda row: row.time)  # each metric has a file of its own

    def _metric(self, path: Path) -> Iterator[Row]:
        at = self._read.get(path, 0)
        with path.open("rb") as file:
            file.seek(at)
            data = file.read()
        whole, newline, torn = data.rpartition(b"\n")
        self._read[path] = at + len(whole) + len(newline)
        self._torn.pop(path, None)
        if torn:
            self._torn[path] = f"{path}: cut off in its last line"
        name = str(path.relative_to(self._run / "metrics"))
        for line in whole.splitlines():
            try:
                time, value, step = line.split(b" ")[:3]
                yield Row(int(step), int(time) / 1000, {name: float(value)})
            except ValueError:
                self._torn[path] = f"{path}: a line is no 'time value step' and was left out: {line[:40]!r}"

    def _ended(self) -> None:
        meta = flat(self._run / "meta.yaml")
        status = _STATUS.get(meta.get("status", ""))
        if status is not None:
            time = float(meta.get("end_time", "0")) / 1000 if meta.get("end_time", "").isdecimal() else 0.0
            self.end = End(time, status)
