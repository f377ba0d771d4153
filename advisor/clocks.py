"""The clocks of a run: planned steps, warm-up, phases, and the windows that trends are read from."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from .rates import LR_JUMP, Rates
from .window import View

STEADY = 8
"""Steps of equal size that make a batch size: the ragged last batch of an epoch is none."""


class Clocks(Rates):
    """In optimizer steps: ``planned`` ones that the script will take, ``horizon`` these or the steps so far."""

    @cached_property
    def planned(self) -> int | None:
        """Optimizer steps the script will take (S), None when not known or already passed; of a training that came to
        its end, the steps it took."""
        planned = self.facts.get("planned_steps")
        if planned and planned >= self.step:
            return int(planned)
        return self.step if self.end is not None and self.end.status == "finished" else None

    @property
    def horizon(self) -> int:
        """Planned steps; the steps so far where the plan is not known."""
        return self.planned or self.step

    @property
    def over(self) -> bool:
        """The training has taken all its steps: what is not good now will not become good."""
        if self.end is None:
            return False
        return self.end.status == "finished" or (self.planned is not None and self.step >= 0.98 * self.planned)

    @cached_property
    def warmup(self) -> int:
        return max(self.lr_warmup_end, 20, min(self.horizon // 100, 500))

    @property
    def lr_steady(self) -> bool:
        """The rate has not moved since the warm-up."""
        steps = self.schedule.steps
        return len(steps) <= 1 or int(steps[-1]) <= self.warmup

    @cached_property
    def phase_start(self) -> int:
        """First step since the last jump of learning rate or batch size: trends are read from here."""
        first = self.track.segment.first_step
        return max(self.schedule.jumped, self._batch_change, self._unfrozen, self._loaded, first)

    @cached_property
    def _unfrozen(self) -> int:
        """The step from which parameters are trained that were frozen before."""
        frozen: set[str] = set()
        start = 0
        for event in self._told:
            if "frozen" in event.data:
                now = set(event.data["frozen"] or ())
                start = event.step if frozen - now else start
                frozen = now
        return start

    @cached_property
    def _loaded(self) -> int:
        """The step after which weights were loaded from a file."""
        return max((event.step for event in self.events("checkpoint.loaded")), default=0)

    @cached_property
    def _batch_change(self) -> int:
        if not self.has("batch.size"):
            return 0
        view = self.view("batch.size")
        sizes = view.scalar
        edges = self.edges("batch.size", sizes)
        if len(edges) < 2:
            return 0
        edges = np.append(edges, len(sizes))
        long = np.flatnonzero(np.diff(edges) >= STEADY)
        start = 0
        for before, after in zip(long[-2:], long[-1:], strict=False):
            a, b = float(sizes[edges[before]]), float(sizes[edges[after]])
            if before != after and max(a, b) > LR_JUMP * min(a, b):
                start = int(view.steps[edges[after]])
        return start

    @cached_property
    def window_length(self) -> int:
        """Steps that a trend is read from: a fifth of the run, 200 to 5,000 steps, and an epoch where one is short."""
        epoch = int(self.facts.get("steps_per_epoch") or 0)
        return max(int(min(max(0.2 * self.step, 200), 5000)), min(epoch, 5000))

    def window(self, view: View) -> View:
        """The newest part of a view that a trend is read from; never across the beginning of a phase."""
        return view.since(max(self.step - self.window_length + 1, self.phase_start))

    def late(self, view: View) -> View:
        """The part of a view that belongs to the second half of the steps so far; all of it in the first 40 steps.

        The first 20 steps are all sampled, later ones as the budget allows: the newest records of a metric may be
        mostly of the net's first steps, and say nothing of what it has become.
        """
        first = self.track.segment.first_step
        age = self.step - first
        return view.since(first + age // 2 + 1) if age > 40 else view
