"""Which steps are looked at closely: as many as the overhead budget allows."""

from __future__ import annotations

import math
from collections import deque
from statistics import median
from time import thread_time

DENSE = 20
"""First steps of a segment, all sampled: a learning rate that is too high kills before step 10."""
SETTLE = 10
"""Interval until there are enough steps of both kinds to compare."""
ENOUGH = 5
KEPT = 15
"""Newest durations that a median is taken of."""
LONGEST = 1000
IDLE = 4e-6
"""CPU seconds that the hooks cost on a step that is not sampled; `python -m tests.bench.bench_probes` measures it."""


class Sampler:
    """Decides from medians of real steps: interval N = ceil((sampled - idle) / (budget * step - IDLE)).

    The difference of whole steps is what counts: timing our own code alone misses the slower module calls and
    the cold caches it leaves behind. ``budget`` is a share of the step's wall time.
    """

    def __init__(self, budget: float) -> None:
        self.budget = budget
        self.every = 1
        self.cost: float | None = None
        """Share of the step that watching takes, None until it is measured."""
        self.seconds = 0.0
        """Wall time of a step that is not sampled, 0 until known."""
        self._next = 1
        self._mark: float | None = None
        self._sampled: deque[float] = deque(maxlen=KEPT)
        self._idle: deque[float] = deque(maxlen=KEPT)
        self._wall: deque[float] = deque(maxlen=KEPT)

    def wants(self, step: int) -> bool:
        return step <= DENSE or step >= self._next

    def ended(self, step: int, sampled: bool, wall: float, disturbed: bool) -> bool:
        """Step ``step`` is over; is the next one to be sampled? ``disturbed`` steps (validation ran) are not timed."""
        if self._mark is None and not sampled and not self.wants(step + 1):
            return False
        if sampled and step >= DENSE:
            self._choose()
            self._next = step + self.every
        following = self.wants(step + 1)
        if self._mark is not None or sampled or following:
            now = thread_time()
            if self._mark is not None and not disturbed:
                (self._sampled if sampled else self._idle).append(now - self._mark)
                if not sampled:
                    self._wall.append(wall)
                    self.seconds = median(self._wall)
            self._mark = now if sampled or following else None
        return following

    def _choose(self) -> None:
        if len(self._idle) < ENOUGH or len(self._sampled) < ENOUGH:
            self.every = SETTLE
            return
        extra = max(median(self._sampled) - median(self._idle), 0.0)
        step = max(self.seconds, 1e-9)
        allowed = self.budget * step - IDLE
        self.every = min(max(math.ceil(extra / allowed), 1), LONGEST) if allowed > 0 else LONGEST
        self.cost = (IDLE + extra / self.every) / step
