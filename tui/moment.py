"""Which moment of the run the screens show: the newest, or an earlier step, standing or played."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from nnwatch.series import Doubles, Steps

SPEEDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4)
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_BACK = re.compile(r"-(\d+(?:\.\d+)?)([smhd])")
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?")
_PLEASANT = 40.0
"""Seconds that a replay takes, about, at the speed it starts with."""


def _nearest(speed: float) -> float:
    return min(SPEEDS, key=lambda one: abs(np.log(one / max(speed, SPEEDS[0]))))


@dataclass
class Timeline:
    """The recorded steps and their times, in order."""

    steps: Steps = field(default_factory=lambda: np.empty(0, np.int64))
    times: Doubles = field(default_factory=lambda: np.empty(0))

    @property
    def head(self) -> int:
        return int(self.steps[-1]) if len(self.steps) else 0

    def time_of(self, step: int) -> float:
        """When ``step``, or the last one before it, was recorded."""
        if not len(self.steps):
            return 0.0
        return float(self.times[max(int(np.searchsorted(self.steps, step, side="right")) - 1, 0)])

    def step_at(self, time: float) -> int:
        """The last step recorded at ``time`` or before, 0 before the first."""
        row = int(np.searchsorted(self.times, time, side="right")) - 1
        return int(self.steps[row]) if row >= 0 else 0

    def at_or_before(self, place: float) -> int:
        """The last recorded step that is not beyond ``place``, 0 before the first."""
        row = int(np.searchsorted(self.steps, place, side="right")) - 1
        return int(self.steps[row]) if row >= 0 else 0

    def beside(self, step: int, by: int) -> int:
        """The recorded step ``by`` records after (before, if negative) ``step``."""
        if not len(self.steps):
            return 0
        row = int(np.searchsorted(self.steps, step, side="right")) - 1 + by
        return 0 if row < 0 else int(self.steps[min(row, len(self.steps) - 1)])

    def find(self, text: str) -> int | None:
        """The step that a text means: ``1200``, ``-2h`` (also s, m, d) before the end, ``03:00`` on the clock; None for
        anything else."""
        text = text.strip().replace(",", "").replace("_", "")
        if text.isdecimal():
            return int(text)
        time = self.when(text)
        return None if time is None else self.step_at(time)

    def when(self, text: str) -> float | None:
        """The time that a text means, if it means one: ``-2h``, ``03:00``."""
        text = text.strip()
        if not len(self.steps):
            return None
        end = float(self.times[-1])
        if back := _BACK.fullmatch(text):
            return end - float(back[1]) * _SECONDS[back[2]]
        if clock := _CLOCK.fullmatch(text):
            hour, minute, second = int(clock[1]), int(clock[2]), int(clock[3] or 0)
            if hour > 23 or minute > 59 or second > 59:
                return None
            when = datetime.fromtimestamp(end).replace(hour=hour, minute=minute, second=second, microsecond=0)
            if when.timestamp() > end:
                when -= timedelta(days=1)
            return when.timestamp()
        return None


class Moment:
    """``step`` is None at the head. ``seen`` is the furthest step looked at (None: all that is there);
    what lies beyond was not shown yet, so that a replay unfolds like the run did."""

    segment: int | None = None
    """The segment looked at, None for the newest."""

    def __init__(self, replay: bool) -> None:
        self.replay = replay
        self.step: int | None = 0 if replay else None
        self.seen: int | None = 0 if replay else None
        self.playing = replay
        self.speed: float | None = None
        self._time = 0.0
        self._clock: float | None = None

    @property
    def standing(self) -> bool:
        return self.step is not None and not self.playing

    def at(self, timeline: Timeline) -> int:
        """The step shown."""
        return timeline.head if self.step is None else self.step

    def go(self, step: int, timeline: Timeline) -> None:
        """Stand at ``step``; from the last one on, stay with the head of a live run."""
        self.playing = False
        self._stand(min(max(step, 0), timeline.head), timeline)

    def _stand(self, step: int, timeline: Timeline) -> None:
        self.step = step
        self._time = timeline.time_of(step)
        if self.seen is not None:
            self.seen = max(self.seen, step)

    def enter(self, segment: int | None, step: int, timeline: Timeline) -> None:
        """Stand at a step of another segment (None: the newest), of which all is known."""
        self.segment, self.seen = segment, None
        self.go(step, timeline)

    def to_end(self, timeline: Timeline) -> None:
        """The newest moment: live follows it from now on, replay stands on its last step."""
        self.seen = None
        if self.replay:
            self.go(timeline.head, timeline)
        else:
            self.step, self.playing = None, False

    def toggle(self, timeline: Timeline) -> None:
        """Space: freeze and go on live; play and pause in replay, from the start once it is through."""
        if not self.replay:
            if self.step is None:
                self.go(timeline.head, timeline)
            else:
                self.to_end(timeline)
        elif self.playing:
            self.playing = False
        else:
            if self.step is not None and self.step >= timeline.head:
                self._stand(0, timeline)
            self.playing, self._clock = True, None

    def faster(self, by: int) -> None:
        """One speed up (1) or down (-1)."""
        if self.speed is not None:
            at = SPEEDS.index(self.speed)
            self.speed = SPEEDS[min(max(at + by, 0), len(SPEEDS) - 1)]

    def advance(self, now: float, timeline: Timeline, complete: bool) -> None:
        """Let the time since the last call pass; ``complete``: nothing more will be recorded."""
        before, self._clock = self._clock, now
        if not self.playing or not len(timeline.steps):
            return
        if self.speed is None:
            whole = float(timeline.times[-1] - timeline.times[0])
            self.speed = _nearest(whole / _PLEASANT)
        self._time = max(self._time, float(timeline.times[0]) - 0.2 * self.speed)  # a short look at the start
        if before is not None:
            self._time += (now - before) * self.speed
        last = float(timeline.times[-1])
        self._time = min(self._time, last)
        step = timeline.step_at(self._time)
        self.step = step
        if self.seen is not None:
            self.seen = max(self.seen, step)
        if self._time >= last and complete:
            self.playing = False
