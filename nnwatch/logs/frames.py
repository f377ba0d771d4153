"""The rows of a log as the frames of a session: what was logged, and what the rules say of it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec import structs

from nnwatch.advisor.engine import Advisor
from nnwatch.card import Card
from nnwatch.frame import Block, Commit, End, Event, FieldSpec, Frame, Run, Schema, Segment
from nnwatch.history import History

from .log import Log, Row
from .names import MOST, Names

_LARGEST = 1 << 53
"""Steps beyond it are no steps."""

Column = list[tuple[int, float, float]]
"""Step, time and value of each record."""


class Frames:
    """One log, told as a session; ``read`` gives what is new since the last call.

    A name whose steps begin again makes a new segment. A value whose own steps are far behind those of the training
    loss at the time counts something else, epochs as a rule: it is put at the step of the training loss. A log that is
    ``complete`` ends the run, whether it says how or not.
    """

    def __init__(self, card: Card, log: Log, advisor: Advisor, *, complete: bool) -> None:
        self._card = card
        self._log = log
        self._complete = complete
        self._advisor = advisor
        self._history = History()
        self._names = Names()
        self._schemas: dict[str, int] = {}
        self._segment = -1
        self._epochs: float | None = None
        self._told: dict[str, Any] = {}
        self._refused = 0
        self._begin()

    def _begin(self) -> None:
        self._raw: dict[str, int] = {}
        self._placed: dict[str, int] = {}

    def read(self) -> list[Frame]:
        """Raises OSError when the log cannot be read any more."""
        rows = self._log.read()
        frames: list[Frame] = []
        if self._history.run is None:
            started = min((row.time for row in rows), default=self._card.started)
            frames.append(Run(self._card.name, "", "", [], "", "", started))
        if rows:
            frames += self._of(rows)
            frames.append(Commit(max(row.time for row in rows)))
        for frame in frames:
            self._history.apply(frame)
        end = self._end() if self._history.end is None else None
        if end is not None:
            frames.append(end)
            self._history.apply(end)
        verdicts = self._advisor.judge(self._history) if frames else []
        for frame in verdicts:
            self._history.apply(frame)
        at = len(frames) - (end is not None)  # the end is last
        return [*frames[:at], *verdicts, *frames[at:]]

    def _end(self) -> End | None:
        """As the log has it; "lost" where nothing more will come and it has nothing."""
        last, told = self._history.last_time, self._log.end
        if told is not None:
            return structs.replace(told, time=told.time or last)
        return End(last, "lost", cause="how it ended is not in the log") if self._complete else None

    def _of(self, rows: list[Row]) -> list[Frame]:
        frames: list[Frame] = []
        columns: dict[str, Column] = defaultdict(list)
        for row in rows:
            if not abs(row.step) < _LARGEST:
                continue
            if self._segment < 0 or any(row.step < self._raw.get(name, row.step) for name in row.values):
                frames += self._blocks(columns)
                columns.clear()
                frames += self._new_segment(row)
            for name, value in row.values.items():
                self._raw[name] = row.step
                metric = self._names.metric(name, value)
                if metric is not None:
                    columns[metric].append((self._step(metric, row.step), row.time, self._value(metric, value)))
        return [*frames, *self._facts(rows[-1].time), *self._blocks(columns), *self._left_out(rows[-1].time)]

    def _new_segment(self, row: Row) -> list[Frame]:
        self._begin()
        self._told = {}
        self._segment += 1
        if self._segment == 0:
            return [Segment(0, 0, 0, row.time)]
        return [*self._facts(row.time), Segment(self._segment, 0, 0, row.time, "resume", max(0, row.step - 1))]

    def _step(self, metric: str, raw: int) -> int:
        trained = self._placed.get("loss.train", 0)
        step = trained if metric != "loss.train" and 2 * raw < trained else max(0, raw)
        step = max(step, self._placed.get(metric, 0))
        self._placed[metric] = step
        return step

    def _value(self, metric: str, value: float) -> float:
        """Epochs count from 1: of those in fractions the one that is under way, of those from 0 one more."""
        if metric != "epoch" or not math.isfinite(value):
            return value
        self._epochs = value if self._epochs is None else self._epochs
        return value + 1 if self._epochs == 0 and value == int(value) else math.ceil(value)

    def _facts(self, time: float) -> list[Frame]:
        """What the log says about the script, where it is news."""
        data: Mapping[str, Any] = {
            "log": self._card.format,
            **({"hyperparameters": self._log.settings} if self._log.settings else {}),
            **({"planned_steps": self._log.planned, "planned_from": "the log"} if self._log.planned else {}),
        }
        if data == self._told or self._segment < 0:
            return []
        self._told = dict(data)
        return [Event("facts", time, segment=self._segment, data=self._told)]

    def _blocks(self, columns: Mapping[str, Column]) -> list[Frame]:
        frames: list[Frame] = []
        for metric, records in columns.items():
            if metric not in self._schemas:
                self._schemas[metric] = len(self._schemas) + 1
                frames.append(Schema(self._schemas[metric], metric, [FieldSpec(metric)]))
            steps, times, values = zip(*records, strict=True)
            with np.errstate(over="ignore"):  # what float32 cannot hold is infinite
                held = np.array(values, np.float32)
            frames.append(
                Block(
                    self._schemas[metric], self._segment, 0, len(records),
                    np.array(steps, np.int64).tobytes(), np.array(times, np.float64).tobytes(), held.tobytes(),
                )
            )  # fmt: skip
        return frames

    def _left_out(self, time: float) -> list[Frame]:
        names, self._refused = self._names.left_out[self._refused :], len(self._names.left_out)
        if not names:
            return []
        text = f"{MOST} names are taken of a log; left out: {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"
        return [Event("notice", time, data={"text": text})]
