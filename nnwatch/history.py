"""What a session says, in numpy columns: the one picture that rules, screens and reports look at.

Frames go in (``apply``), columns come out. Series only grow, in step order, so the state at any earlier
step is a prefix of each column: that is all that seeking and replay need.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from . import scratch
from .frame import (
    Block,
    Commit,
    Console,
    End,
    Event,
    Finding,
    Frame,
    Judgement,
    Labels,
    Run,
    Schema,
    Segment,
    Stretch,
)
from .series import Axis, Doubles, Floats, Series, Steps, append

MACHINE = "machine"
"""Name of the schemas whose blocks are of a further node's machine; their rank is its number."""


class Evaluations(NamedTuple):
    """Passes over validation data: one row per training step after which one ran.

    ``steps`` (e,), ``times`` (e,) of the last batch, ``loss`` and ``accuracy`` size-weighted means (e,) (NaN
    where not had), ``size`` samples (e,), ``first`` (e + 1,) row of ``loss.val`` where each begins.
    """

    steps: Steps
    times: Doubles
    loss: Doubles
    accuracy: Doubles
    size: Doubles
    first: Steps


class Track(dict[str, Series]):
    """The series of one (segment, rank), by metric name."""

    def __init__(self, segment: Segment) -> None:
        super().__init__()
        self.segment = segment
        self.last_step = segment.first_step

    def evaluations(self, until: int | None = None) -> Evaluations:
        """Validation passes that ended at ``until`` or before."""
        loss, size, accuracy = self.get("loss.val"), self.get("val.size"), self.get("accuracy.val")
        n = loss.until(until) if loss is not None else 0
        if loss is None or n == 0:
            none = np.empty(0)
            return Evaluations(np.empty(0, np.int64), none, none, none, none, np.zeros(1, np.int64))
        steps = loss.steps[:n]
        first = np.concatenate(([0], np.flatnonzero(np.diff(steps)) + 1))
        weight = size.scalar[:n].astype(np.float64) if size is not None else np.ones(n)
        total = np.add.reduceat(weight, first)

        def mean(series: Series | None) -> Doubles:
            if series is None or len(series) < n:
                return np.full(len(first), np.nan)
            return np.add.reduceat(series.scalar[:n] * weight, first) / np.maximum(total, 1e-12)

        last = np.append(first[1:], n)
        return Evaluations(steps[first], loss.times[last - 1], mean(loss), mean(accuracy), total, np.append(first, n))


def unpacked(block: Block | Stretch, schema: Schema | Stretch) -> tuple[Steps, Doubles, Floats] | None:
    """Steps (n,), times (n,) and values (n, columns of the schema); None if the bytes do not fit the schema."""
    width = sum(field.width for field in schema.fields)
    if (len(block.steps), len(block.times), len(block.values)) != (
        8 * block.count,
        8 * block.count,
        4 * width * block.count,
    ):
        return None
    values = np.frombuffer(block.values, np.float32).reshape(width, block.count).T
    return np.frombuffer(block.steps, np.int64), np.frombuffer(block.times, np.float64), values


class History:
    """Everything a session has said so far. ``version`` grows with each frame that changed something."""

    def __init__(self) -> None:
        self.version = 0
        self.run: Run | None = None
        self.end: End | None = None
        self.commit: Commit | None = None
        self.tracks: dict[tuple[int, int], Track] = {}
        self.system = Track(Segment(-1, 0, 0, 0.0))
        """Samples of the machine; their step is the last one known when they were taken."""
        self.machines = {0: self.system}
        """The same of all nodes of the job, by number."""
        self.facts: dict[tuple[int, int], dict[str, Any]] = {}
        """What is known about the script, by (segment, rank); later facts replace earlier ones."""
        self.fact_log: list[Event] = []
        """Every ``facts`` event, in order: what was known at an earlier step is its prefix."""
        self.events: list[Event] = []
        self.console: list[Console] = []
        self.consoles = {0: self.console}
        """What was printed on all nodes of the job, by number."""
        self.findings: dict[int, Finding] = {}
        self.finding_log: list[Finding] = []
        """Every state of every finding, in order: the picture at an earlier step is its prefix."""
        self.judgement: Judgement | None = None
        self.judgements: list[Judgement] = []
        self.replaced = 0
        """How often records were put in the place of earlier ones: what was made from columns is to be made again."""
        self.labels: dict[int, Labels] = {}
        self.schemas: dict[int, Schema] = {}

    @property
    def main(self) -> Track | None:
        """The newest segment of the lowest rank: what a screen shows unless asked for another."""
        if not self.tracks:
            return None
        return self.tracks[max(self.tracks, key=lambda key: (key[0], -key[1]))]

    @property
    def last_step(self) -> int:
        return max((track.last_step for track in self.tracks.values()), default=0)

    @property
    def last_time(self) -> float:
        """Time of the newest commit or of the end, seconds since 1970; 0 before anything came."""
        if self.end is not None:
            return self.end.time
        if self.commit is not None:
            return self.commit.time
        return self.run.started if self.run else 0.0

    def track(self, schema: str, segment: int, rank: int) -> Track | None:
        """What blocks of a schema of that name belong to; None if their segment is not known."""
        if schema == "system":
            return self.system
        if schema == MACHINE:
            return self.machines.setdefault(rank, Track(Segment(-1, rank, 0, 0.0, node=rank)))
        return self.tracks.get((segment, rank))

    def facts_of(self, track: Track) -> dict[str, Any]:
        return self.facts.get((track.segment.segment, track.segment.rank), {})

    def apply(self, frame: Frame) -> None:
        """Take one frame in."""
        self.version += 1
        match frame:
            case Block():
                self._block(frame)
            case Stretch():
                self._stretch(frame)
            case Schema():
                self.schemas[frame.id] = frame
            case Labels():
                self.labels[frame.id] = frame
            case Segment():
                self.tracks[frame.segment, frame.rank] = Track(frame)
            case Console():
                self.consoles.setdefault(frame.node, []).append(frame)
            case Event():
                if frame.name == "facts":
                    self.facts.setdefault((frame.segment, frame.rank), {}).update(frame.data)
                    self.fact_log.append(frame)
                else:
                    self.events.append(frame)
            case Finding():
                self.findings[frame.id] = frame
                self.finding_log.append(frame)
            case Judgement():
                self.judgement = self._whole(frame)
                self.judgements.append(self.judgement)
            case Commit():
                self.commit = frame
                scratch.rest()
            case Run():
                self.run = frame
            case End():
                self.end = frame

    def _whole(self, change: Judgement) -> Judgement:
        """A judgement with what the one before it in its segment and rank says of all other rules."""
        own = change.segment, change.rank
        before = next((j for j in reversed(self.judgements) if (j.segment, j.rank) == own), None)
        if before is None:
            return change
        judged = [rule for rule in before.judged if rule not in change.abstained]
        judged += [rule for rule in change.judged if rule not in before.judged]
        abstained = {rule: why for rule, why in before.abstained.items() if rule not in change.judged}
        return Judgement(change.step, *own, judged, abstained | change.abstained)

    def _block(self, block: Block) -> None:
        schema = self.schemas.get(block.schema)
        if schema is None:
            return  # its schema was in a damaged frame
        records = unpacked(block, schema)
        if records is None:
            return
        steps, times, columns = records
        track = self.track(schema.name, block.segment, block.rank)
        if track is None:
            return
        new = [field for field in schema.fields if field.metric not in track]
        axis, at = Axis(len(new)), 0
        parts = []
        for field in schema.fields:
            labels = self.labels.get(field.labels)
            if field.metric not in track:
                track[field.metric] = Series(field.metric, field.width, labels, axis)
            parts.append((track[field.metric], columns[:, at : at + field.width], labels))
            at += field.width
        append(parts, steps, times)
        if len(steps):
            track.last_step = max(track.last_step, int(steps[-1]))

    def _stretch(self, stretch: Stretch) -> None:
        """Records that take the place of those between the same steps."""
        records = unpacked(stretch, stretch)
        track = self.track(MACHINE if stretch.segment < 0 else "", stretch.segment, stretch.rank)
        if records is None or track is None:
            return
        steps, times, columns = records
        axes: dict[Axis | None, Axis] = {}  # series that came together stay together
        at = 0
        for field in stretch.fields:
            new, at = columns[:, at : at + field.width], at + field.width
            labels = self.labels.get(field.labels)
            old = track.get(field.metric) or Series(field.metric, field.width, labels)
            begin, end = (int(row) for row in np.searchsorted(old.steps, [stretch.first, stretch.last + 1]))
            together = old.axis if len(old) else None
            if together not in axes:
                axis = axes[together] = Axis(0)
                axis.extend(old.steps[:begin], old.times[:begin])
                axis.extend(steps, times)
                axis.extend(old.steps[end:], old.times[end:])
            made = Series(field.metric, max(field.width, old.width), labels or old.labels, axes[together])
            made.axis.users += 1
            rest = begin + len(new)
            for row, part in ((0, old.values[:begin]), (begin, new), (rest, old.values[end:])):
                made.put(row, row + len(part), part, None)
            track[field.metric] = made
        if len(steps):
            track.last_step = max(track.last_step, int(steps[-1]))
        self.replaced += 1
