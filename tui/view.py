"""What one redraw looks at: the history at one moment. Widgets read it and keep nothing of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from nnwatch.advisor.verdict import Verdict
from nnwatch.frame import Console, Event, Finding, Judgement
from nnwatch.history import History, Track
from nnwatch.series import Series

from .axis import Axis, ClockAxis, through
from .column import Column, Columns
from .draw.pyramid import Extremes, joined
from .draw.raster import Symbols
from .landmarks import Landmarks
from .lens import Lens
from .moment import Moment, Timeline
from .segments import Stretch, stretches
from .state import State
from .transcript import printed


@dataclass(frozen=True)
class View:
    """``step`` is the step shown, ``head`` the newest there is, ``time`` the recorded time of the moment."""

    history: History
    track: Track | None
    columns: Columns
    timeline: Timeline
    moment: Moment
    lens: Lens
    step: int
    head: int
    time: float
    verdict: Verdict
    state: State
    symbols: Symbols
    judged: str = ""
    """The threshold that the run was judged again with; nothing where its findings are those that were made."""
    _found: dict[str, Column | None] = field(default_factory=dict, repr=False, compare=False)

    @property
    def until(self) -> int | None:
        """The step shown where it is not simply the newest."""
        return None if self.moment.step is None else self.step

    @property
    def seen(self) -> int:
        """The last step that charts show."""
        return self.head if self.moment.seen is None else self.moment.seen

    @property
    def facts(self) -> dict[str, Any]:
        return self.history.facts_of(self.track) if self.track is not None else {}

    @property
    def log(self) -> str | None:
        """The format of another tool's log that this was read from."""
        return self.facts.get("log")

    def missing(self, reason: str) -> str:
        """Why there is nothing of a metric: ``reason``, unless a log is read, which has what its tool wrote."""
        return f"not in this {self.log} log; `nnwatch run` would measure it" if self.log else reason

    @property
    def planned(self) -> int | None:
        planned = self.facts.get("planned_steps")
        return int(planned) if isinstance(planned, int | float) and planned > 0 else None

    def column(self, name: str) -> Column | None:
        if name not in self._found:  # many widgets ask for the same
            self._found[name] = self.columns.get(self.track, name) if self.track is not None else None
        return self._found[name]

    def value(self, name: str) -> float | None:
        """The newest value of a column at the moment, None where there is none."""
        column = self.column(name)
        return column.at(self.until) if column is not None else None

    def axis(self, first: int, last: int, columns: int) -> Axis:
        """What the lens shows of the steps from ``first`` to ``last``; without a lens, on the clock, all segments."""
        others = tuple(part.timeline for part in self.stretches if part.track is not self.track)
        return through(self.lens, self.timeline, first, last, columns, others)

    @cached_property
    def ranks(self) -> list[tuple[int, Track]]:
        """The ranks of the segment that is shown, in order; charts show the first."""
        if self.track is None:
            return []
        segment = self.track.segment.segment
        return sorted((rank, track) for (of, rank), track in self.history.tracks.items() if of == segment)

    @cached_property
    def nodes(self) -> dict[int, str]:
        """The hosts of the job's nodes by number, this one's first."""
        hosts = {0: self.history.run.host if self.history.run is not None else ""}
        for event in self.history.events:
            if event.name == "node" and event.data.get("state") == "joined" and event.data.get("node"):
                hosts[int(event.data["node"])] = str(event.data.get("host", ""))
        return {number: hosts.get(number, "?") for number in sorted(self.history.machines)}

    @cached_property
    def stretches(self) -> list[Stretch]:
        """The segments that charts show, oldest first: this one, on the clock all that are known at the moment."""
        if self.track is None:
            return []
        mine = Stretch(self.track, self.timeline)
        return stretches(self.history, mine, self.moment.seen is None) if self.lens.clock else [mine]

    def enter(self, part: Stretch, step: int) -> None:
        """Look at a step of another segment."""
        newest = self.history.main is part.track
        self.moment.enter(None if newest else part.number, step, part.timeline)

    def parts(self, name: str) -> list[tuple[Stretch, Column]]:
        """A column in the segments that have it."""
        found = []
        for part in self.stretches:
            column = self.column(name) if part.track is self.track else self.columns.get(part.track, name)
            if column is not None:
                found.append((part, column))
        return found

    def extremes(self, name: str, x: Axis, until: int | None, weight: float | None = None) -> Extremes:
        """Of a column, or of its average, over the axis, in this segment nothing after the step ``until``."""
        found = []
        for part, column in self.parts(name):
            mine = part.track is self.track
            rows = column.until(until) if mine else None
            shown = column if weight is None else column.smoothed(weight)
            edges = x.of(part.timeline).edges() if isinstance(x, ClockAxis) and not mine else x.edges()
            found.append(shown.extremes(edges, rows))
        return joined(found)

    @cached_property
    def landmarks(self) -> Landmarks:
        """Epochs and jumps of the learning rate, as far as the run is."""
        return self._landmarks(self.track) if self.track is not None else Landmarks()

    def landmarks_of(self, track: Track) -> Landmarks:
        """Those of another segment."""
        return self.landmarks if track is self.track else self._landmarks(track)

    def _landmarks(self, track: Track) -> Landmarks:
        return self.columns.landmarks(track, self.history.facts_of(track).get("steps_per_epoch"))

    def series(self, name: str) -> Series | None:
        return self.track.get(name) if self.track is not None else None

    def row(self, name: str) -> tuple[Series, int] | None:
        """A metric's series and the number of its newest record at the moment."""
        series = self.series(name)
        n = series.until(self.until) if series is not None else 0
        return (series, n - 1) if series is not None and n else None

    def machine(self, name: str) -> tuple[Series, int] | None:
        """A metric of the machine and how many of its samples were taken by the moment."""
        series = self.history.system.get(name)
        if series is None:
            return None
        n = len(series) if self.until is None else int(np.searchsorted(series.times, self.time, side="right"))
        return (series, n) if n else None

    def console(self, node: int = 0) -> list[Console]:
        """What was printed on a node by the moment."""
        found = self.history.consoles.get(node, [])
        return found if self.until is None else [text for text in found if text.step <= self.step]

    def last_line(self) -> str:
        """The last line that the script printed."""
        lines = [line.strip() for line in printed(self.history.console[-3:])]
        return next((line for line in reversed(lines) if line), "")

    def findings(self) -> list[Finding]:
        """The findings known at the moment, each in its state then."""
        if self.until is None:
            return list(self.history.findings.values())
        known = {finding.id: finding for finding in self.history.finding_log if finding.last_step <= self.step}
        return list(known.values())

    @property
    def judgement(self) -> Judgement | None:
        """Which rules could judge at the moment."""
        segment = self.track.segment.segment if self.track is not None else 0
        mine = [judgement for judgement in self.history.judgements if judgement.segment == segment]
        earlier = mine if self.until is None else [judgement for judgement in mine if judgement.step <= self.step]
        return earlier[-1] if earlier else None

    @property
    def machine_facts(self) -> dict[str, Any]:
        """What the monitor knows about the machine: its facts belong to no training segment."""
        known: dict[str, Any] = {}
        for event in self.history.fact_log:
            known |= event.data
        return known

    def event(self, name: str) -> Event | None:
        """The newest event of a name, whenever it happened."""
        return next((event for event in reversed(self.history.events) if event.name == name), None)
