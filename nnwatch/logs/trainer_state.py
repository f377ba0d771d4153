"""Hugging Face's ``trainer_state.json``, which its Trainer writes with each checkpoint. The newest one has all rows.

It says no times: the checkpoints' own files do, and what was logged between two of them is put evenly between.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

from nnwatch.frame import End

from .log import LogError, Row

FILE = "trainer_state.json"
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
_SETTINGS = ("train_batch_size", "num_train_epochs", "logging_steps", "eval_steps", "save_steps")


class TrainerState:
    name = "Hugging Face Trainer"

    @staticmethod
    def runs(folder: Path, files: list[str], folders: list[str]) -> Iterator[Path]:
        if FILE in files:
            yield folder.parent if _CHECKPOINT.fullmatch(folder.name) else folder

    @staticmethod
    def files(run: Path) -> list[Path]:
        """By the step that they are of; that of the folder itself was written at the end."""
        if run.is_file():
            return [run]
        saved = [path for path in run.glob(f"checkpoint-*/{FILE}") if _CHECKPOINT.fullmatch(path.parent.name)]
        saved.sort(key=lambda path: int(path.parent.name.partition("-")[2]))
        return [*saved, *([run / FILE] if (run / FILE).is_file() else [])]

    @staticmethod
    def open(run: Path) -> TrainerRun:
        return TrainerRun(run)


class TrainerRun:
    def __init__(self, run: Path) -> None:
        self._run = run
        self._rows = 0
        self._stamp: list[tuple[Path, int]] = []
        self._times: dict[int, float] = {}
        self.settings: dict[str, Any] = {}
        self.planned: int | None = None
        self.end: End | None = None
        self.flaw: str | None = None
        self._waiting = self._changed()
        if not self._waiting:
            raise LogError(self.flaw or f"{run}: no {FILE} in it")

    def read(self) -> list[Row]:
        rows, self._waiting = self._waiting or self._changed(), []
        return rows

    def _changed(self) -> list[Row]:
        """Rows that the newest file has more than the one before it had. A broken one is passed over for an older."""
        files = TrainerState.files(self._run)
        stamp = [(path, path.stat().st_mtime_ns) for path in files]
        if stamp == self._stamp:
            return []
        self._stamp, self.flaw = stamp, None
        for path, _ in reversed(stamp):
            try:
                state = json.loads(path.read_bytes())
                history = [dict(entry) for entry in state["log_history"]]
            except (ValueError, KeyError, TypeError):
                self.flaw = f"{path}: cut off or no trainer state, left out; it was being written or is damaged"
                continue
            self._about(state, path)
            return self._new(history)
        return []

    def _about(self, state: dict[str, Any], path: Path) -> None:
        self.settings = {name: state[name] for name in _SETTINGS if state.get(name)}
        planned, step = state.get("max_steps"), state.get("global_step")
        if isinstance(planned, int) and isinstance(step, int):
            self.planned = planned if planned > 0 else None
            self.end = End(path.stat().st_mtime, "finished") if 0 < planned <= step else None

    def _new(self, history: list[dict[str, Any]]) -> list[Row]:
        known = [entry for entry in history if isinstance(entry.get("step"), int)]
        when = self._clock([entry["step"] for entry in known])
        rows = [
            Row(entry["step"], time, {k: float(v) for k, v in entry.items() if k != "step" and _number(v)})
            for entry, time in zip(known, when, strict=True)
        ]
        new, self._rows = rows[self._rows :], len(rows)
        return new

    def _clock(self, steps: list[int]) -> list[float]:
        """Times of the checkpoints where there are two or more, else that of the only file for all."""
        for path, changed in self._stamp:
            named = _CHECKPOINT.fullmatch(path.parent.name)
            self._times[int(named[1]) if named else max(steps, default=0)] = changed / 1e9
        at = sorted(self._times)
        if len(at) < 2:
            return [self._stamp[-1][1] / 1e9] * len(steps)
        # a copy's files are as old as the copying, in any order: no row is before the one above it
        return list(accumulate((self._between(at, step) for step in steps), max))

    def _between(self, at: list[int], step: int) -> float:
        """On the line through the two checkpoints around a step, the first two or last two for one outside."""
        i = min(max(bisect_left(at, step), 1), len(at) - 1)
        first, last = self._times[at[i - 1]], self._times[at[i]]
        return first + (last - first) * (step - at[i - 1]) / (at[i] - at[i - 1])


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
