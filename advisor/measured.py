"""What was measured up to a boundary: views of the metrics, facts and events, and what is kept from one to the next."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from nnwatch.frame import End, Event
from nnwatch.history import Evaluations, History, Track
from nnwatch.series import Floats

from .finding import Abstain
from .views import Views
from .window import View, finite, median

T = TypeVar("T")
HYSTERESIS = 0.7
"""A finding is cleared when its number is back under this part of the threshold that raised it."""


class _Made(NamedTuple):
    """What was made of ``known``, the number of facts and of records of some metrics: a value, or why there is none."""

    known: Sequence[int]
    value: Any
    reason: str | None


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
        self._views: Views = self._memo.setdefault("views", Views(track))
        self._views.move(step, history.version)
        self._here: dict[Hashable, Any] = {}
        """What several rules ask for at this boundary."""
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
        """What ``make()`` gives, made anew only when one of the ``metrics`` has a new record. Abstains where it does.

        For what depends on all records of some metrics and on the facts, and on nothing else: a short run is judged far
        more often than it is sampled. With ``slack``, a share, it is made anew when there are so many more records, and
        at the end of the run: for what is dear and moves slowly.
        """
        views = self._views
        known = [len(self._told), *[len(view.steps) if (view := views[metric]) else 0 for metric in metrics]]
        key = "once", name
        before: _Made | None = self._memo.get(key)
        if before is None or (known != before.known and self._grown(known, before, slack)):
            try:
                before = _Made(known, make(), None)
            except Abstain as abstained:
                before = _Made(known, None, str(abstained))
            self._memo[key] = before
        if before.reason is not None:
            raise Abstain(before.reason)
        made: T = before.value
        return made

    def _grown(self, known: Sequence[int], before: _Made, slack: float) -> bool:
        """Whether there are more facts or, by more than the share ``slack``, records; any, where there was no value."""
        if not slack or before.reason is not None or self.end is not None:
            return True
        return known[0] > before.known[0] or any(
            now > (1 + slack) * then for now, then in zip(known, before.known, strict=True)
        )

    def here(self, name: Hashable, make: Callable[[], T]) -> T:
        """What ``make()`` gives, made once at this boundary: for what several rules ask for."""
        if name not in self._here:
            self._here[name] = make()
        made: T = self._here[name]
        return made

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
        return [event for event in self._events.get(name, ()) if self.end is not None or event.step <= self.step]

    @cached_property
    def _events(self) -> Mapping[str, list[Event]]:
        """All events of the track, by name, in order."""
        ours: dict[str, list[Event]]
        done, ours = self._memo.get("events", (0, {}))
        key = self.track.segment.segment, self.track.segment.rank
        for event in self.history.events[done:]:
            if (event.segment, event.rank) == key:
                ours.setdefault(event.name, []).append(event)
        self._memo["events"] = len(self.history.events), ours
        return ours

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
        """Samples in a usual step; of a loss that is written by hand, and a script without a loader, those of the first
        targets. None where neither is known."""
        size = median(self.view("batch.size").last(50).scalar) if self.has("batch.size") else math.nan
        if math.isfinite(size):
            return size
        target = (self.facts.get("shapes") or {}).get("target")
        return float(target[0]) if target else None

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
