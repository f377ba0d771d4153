"""What was measured up to a boundary: views of the metrics, facts, events, and the training loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nnwatch.frame import End, Event
from nnwatch.history import Evaluations, History, Track
from nnwatch.series import Floats, Steps

from .finding import Abstain, number
from .window import View, finite, median

T = TypeVar("T")
HYSTERESIS = 0.7
"""A finding is cleared when its number is back under this part of the threshold that raised it."""
STEADY = 8
"""Steps of equal size that make a batch size: the ragged last batch of an epoch is none."""


class _Views(dict[str, View | None]):
    """What is seen of each metric at the boundary, None where it has no record yet; made when it is asked for, and kept
    for later boundaries until the step of the next record is reached."""

    def __init__(self, track: Track) -> None:
        super().__init__()
        self._track = track
        self._step = 0
        self._version = 0
        self._upcoming: dict[str, float] = {}
        """Step of the next record of each metric."""

    def move(self, step: int, version: int) -> None:
        """Go on to a later step, or to a history that has grown."""
        if version != self._version:
            self.clear()
            self._upcoming.clear()
        else:
            for metric in [metric for metric, upcoming in self._upcoming.items() if upcoming <= step]:
                del self[metric], self._upcoming[metric]
        self._step, self._version = step, version

    def __missing__(self, metric: str) -> View | None:
        series = self._track.get(metric)
        view = None
        if series is not None:
            count = series.until(self._step)
            view = View.of(series, count) if count else None
            if count < len(series):
                self._upcoming[metric] = int(series.steps[count])
        self[metric] = view
        return view


class Measured:
    """One boundary of one track. Views end at ``step``; ``end`` is given only when the job has ended there."""

    def __init__(
        self,
        history: History,
        track: Track,
        step: int,
        end: End | None = None,
        opened: frozenset[str] = frozenset(),
        targets: Mapping[str, float] | None = None,
        memo: dict[Any, Any] | None = None,
    ) -> None:
        self.history = history
        self.track = track
        self.step = step
        self.end = end
        self.opened = opened
        """Rules with an open finding, of *watch* or worse, after the boundary before this one."""
        self.targets = targets or {}
        """The user's goals: a value for each of some metrics."""
        self._memo: dict[Any, Any] = {} if memo is None else memo
        """What can no longer change from one boundary of the track to the next. With the views, it serves one boundary
        at a time."""
        self._views: _Views = self._memo.setdefault("views", _Views(track))
        self._views.move(step, history.version)
        self.open = False
        """The rule that judges now has one, of *watch* or worse: its thresholds are then easier to meet, so that it
        does not flicker."""

    def exceeds(self, value: float, threshold: float) -> bool:
        return value > threshold * (HYSTERESIS if self.open else 1)

    def undercuts(self, value: float, threshold: float) -> bool:
        return value < threshold / (HYSTERESIS if self.open else 1)

    def has(self, metric: str) -> bool:
        return self._views[metric] is not None

    def view(self, metric: str) -> View:
        """Records up to the boundary. Raises Abstain when there are none."""
        view = self._views[metric]
        if view is None:
            raise Abstain(f"{metric} is not measured in this run (yet)")
        return view

    def edges(self, name: str, values: Floats) -> NDArray[np.intp]:
        """Where a value differs from the one before, the first one included (k,); ``values`` (n,) are those of the last
        boundary and what has come since."""
        key = "edges", name
        done, found = self._memo.get(key, (1, np.zeros(1, np.intp)))
        moved = (values[done:] != values[done - 1 : -1]).nonzero()[0]
        if len(moved):
            found = np.concatenate((found, moved + done))
        self._memo[key] = len(values), found
        return np.asarray(found)

    def once(self, name: str, metrics: tuple[str, ...], make: Callable[[], T], slack: float = 0.0) -> T:
        """What ``make()`` gives, made anew only when one of the ``metrics`` has a new record.

        For what depends on all records of some metrics and on the facts, and on nothing else: a short run is judged far
        more often than it is sampled. With ``slack``, a share, it is made anew when there are so many more records, and
        at the end of the run: for what is dear and moves slowly.
        """
        views = self._views
        known = [len(self._told), *[len(view.steps) if (view := views[metric]) else 0 for metric in metrics]]
        key = "once", name
        before = self._memo.get(key)
        if before is None or (known != before[0] and self._grown(known, before[0], slack)):
            self._memo[key] = before = known, make()
        made: T = before[1]
        return made

    def _grown(self, known: Sequence[int], before: Sequence[int], slack: float) -> bool:
        """Whether there are facts or, by more than the share ``slack``, records that were not there before."""
        least = 1 + (slack if self.end is None else 0.0)
        return known[0] > before[0] or any(now > least * then for now, then in zip(known, before, strict=True))

    def first(self, name: str, make: Callable[[], T]) -> T:
        """What ``make()`` gave at the first boundary that asked: for what depends on the first records alone."""
        key = "first", name
        if key not in self._memo:
            self._memo[key] = make()
        made: T = self._memo[key]
        return made

    def newest(self, metric: str, count: int, most: int | None = None) -> Floats:
        """The last ``most`` rows of a metric (``count`` where not given), (n, width).

        Raises Abstain with fewer than ``count``.
        """
        rows = self.view(metric).last(most or count).values
        if len(rows) < count:
            raise Abstain(f"it needs {count} records of {metric}")
        return rows

    def events(self, name: str) -> list[Event]:
        """Events of the track up to the boundary; at the end also those of the step that was never finished."""
        key = self.track.segment.segment, self.track.segment.rank
        ours = [e for e in self.history.events if e.name == name and (e.segment, e.rank) == key]
        return ours if self.end is not None else [e for e in ours if e.step <= self.step]

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """What was known about the script at the boundary."""
        known: dict[str, Any] = {}
        for event in self._told:
            known.update(event.data)
        return known

    @cached_property
    def _told(self) -> list[Event]:
        """The events that brought the facts, in order."""
        key = self.track.segment.segment, self.track.segment.rank
        ours = [event for event in self.history.fact_log if (event.segment, event.rank) == key]
        return ours if self.end is not None else [event for event in ours if event.step <= self.step]

    @cached_property
    def optimizer(self) -> Mapping[str, Any]:
        """What is known of the (first) optimizer; empty where nothing is."""
        known: list[dict[str, Any]] = self.facts.get("optimizers") or [{}]
        return known[0]

    def checkpoint(self, step: int) -> tuple[str, int] | None:
        """The newest checkpoint file whose last writing was at ``step`` or before, and the step of that; None if none
        was saved. A file written again later no longer holds what it held."""
        written = {str(e.data.get("path")): e.step for e in self.events("checkpoint.saved") if e.data.get("path")}
        kept = [(path, at) for path, at in written.items() if at <= step]
        return max(kept, key=lambda item: item[1], default=None)

    @cached_property
    def batch_size(self) -> float | None:
        """Samples in a usual step, None where not measured."""
        size = median(self.view("batch.size").last(50).scalar) if self.has("batch.size") else math.nan
        return size if math.isfinite(size) else None

    @cached_property
    def train_rows(self) -> int | None:
        """Rows of the training set; where no data set tells, the different ones that were seen, once each of them had
        come three times on average. None where neither is known."""
        told = self.facts.get("train_rows")
        if told or not self.has("input.rows"):
            return int(told) if told else None
        return self.once("rows", ("input.rows",), self._rows_seen)

    def _rows_seen(self) -> int | None:
        seen = finite(self.view("input.rows").values)
        distinct = len(np.unique(seen))
        return distinct if len(seen) >= 3 * distinct > 0 else None

    @cached_property
    def evaluations(self) -> Evaluations:
        metrics = "loss.val", "val.size", "accuracy.val"
        return self.once("evaluations", metrics, lambda: self.track.evaluations(self.step))

    @cached_property
    def loss(self) -> View:
        return self.view("loss.train")

    @cached_property
    def first_loss(self) -> float:
        """The first finite training loss: the loss of the untrained net."""
        values = finite(self.loss.scalar[:STEADY])
        if not len(values):
            raise Abstain("the training loss was never finite")
        return float(values[0])

    @property
    def initial_loss(self) -> float:
        """The same as what later losses are divided by. Raises Abstain where it is not positive: a score or a
        likelihood has no zero that ratios could be taken from."""
        if self.first_loss <= 0:
            raise Abstain("the first loss is not positive: its ratios mean nothing")
        return self.first_loss

    def recent_loss(self, most: int = 60) -> float:
        """Median of the newest losses, at most half of them all, NaN when none is finite."""
        return median(self.loss.last(min(most, max(1, len(self.loss.steps) // 2))).scalar)

    @cached_property
    def best_loss(self) -> float:
        """The best median of 20 consecutive losses among the last 5,000, NaN with fewer than 40 or negative ones."""
        losses = finite(self.loss.last(5000).scalar)
        if len(losses) < 40 or float(np.min(losses)) < 0:
            return math.nan
        return float(np.min(np.median(losses[len(losses) % 20 :].reshape(-1, 20), axis=1)))

    def risen(self, factor: float, floor: float = 0.05) -> str | None:
        """The outcome "the loss has got worse": its last 20 are that much over the best 20, no longer under ``floor``
        of the first, and a fifth of all that was gained is lost. None if it has not."""
        now, best = median(self.loss.last(20).scalar), self.best_loss
        if not now > max(factor * best, floor * self.first_loss, best + 0.2 * (self.first_loss - best)):
            return None
        return f"the loss is {number(now)}, its best was {number(self.best_loss)}"

    @cached_property
    def not_finite(self) -> Steps:
        """Steps (k,) whose training loss is NaN or infinite."""
        return self.loss.steps[~np.isfinite(self.loss.scalar)]

    @cached_property
    def broken(self) -> bool:
        """The newest training loss is NaN or infinite."""
        return self.has("loss.train") and not np.isfinite(self.loss.scalar[-1])
