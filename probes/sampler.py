"""Which steps are looked at closely: as many as the overhead budget allows."""

from __future__ import annotations

import math
from collections import deque
from time import thread_time

from . import kernel

DENSE = 20
"""First steps of a segment, all sampled: a learning rate that is too high kills before step 10."""
SETTLE = 8
"""Interval until there are enough steps of both kinds to compare."""
ENOUGH = 5
KEPT = 15
"""Newest durations that a median is taken of."""
SHORTEST = 2
"""With every step sampled there would be none to compare with."""
LONGEST = 256
"""Steps between samples at most: with fewer, rules that need them could not judge a short run of short steps."""
LEAST = 0.25
"""Share of the budget that sampling may have even where the hooks alone take more: a step of a few hundred
microseconds is then watched over budget, and the cost says so."""
REPEATS = 0.1
"""Share of the budget that is for passes made again (``repeats.py``)."""
LONG = 1e-2
"""Seconds of a step from which on every step's model call is noted and a gradient looked at, for an autopsy."""
IDLE = 5e-5 if kernel.native is None else 1e-5
"""CPU seconds taken for what the hooks cost on a step that is not sampled, in the loop of an MLP of 0.6 ms, where they
meet cold caches: `python -m tests.bench.bench_probes`. With warm ones under 1 us, and 5 us without the C kernel."""
LOOK = 4e-5
"""What a step of ``LONG`` costs besides, most of it for torch's slower way to call a module that has a hook."""


def median(values: deque[float]) -> float:
    """Loading ``statistics`` for it would cost every process that imports torch 15 ms."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


class Sampler:
    """Decides from medians of real steps: interval N = ceil((sampled - idle) / (budget * step - hooks)), rounded up to
    a power of two; sampled are its multiples. So ranks that chose different intervals share the steps of the longest,
    without a word between them.

    The difference of whole steps is what counts: timing our own code alone misses the slower module calls and
    the cold caches it leaves behind. ``budget`` is a share of the step's wall time, ``first`` the
    number of the step before the first.
    """

    def __init__(self, budget: float, first: int = 0) -> None:
        self.budget = budget
        self._dense = first + DENSE
        self.every = 1
        self.cost: float | None = None
        """Share of the step that watching takes, None until it is measured."""
        self.seconds = 0.0
        """Wall time of a step that is not sampled, 0 until known."""
        self.next = first + 1
        """The step that will be sampled next."""
        self.due = first + 1
        """The step after which ``ended`` is to be called next."""
        self._mark: float | None = None
        self._sampled: deque[float] = deque(maxlen=KEPT)
        self._idle: deque[float] = deque(maxlen=KEPT)
        self._wall: deque[float] = deque(maxlen=KEPT)

    def ended(self, step: int, sampled: bool, wall: float, disturbed: bool) -> bool:
        """Step ``step`` is over; is the next one to be sampled? ``disturbed`` steps (validation ran) are not timed.

        A sampled step is compared with the one before it: the one after finds the caches cold, and takes a third
        longer where a step is short.
        """
        if sampled:
            if step >= self._dense:
                self._choose()
            self.next = (step // self.every + 1) * self.every
        now = thread_time()
        if self._mark is not None and not disturbed:
            (self._sampled if sampled else self._idle).append(now - self._mark)
            if not sampled:
                self._wall.append(wall)
                self.seconds = median(self._wall)
        self._mark = now if step + 2 >= self.next or not self._idle else None
        self.due = step + 1 if self._mark is not None else self.next - 2
        return step + 1 >= self.next

    def _choose(self) -> None:
        if len(self._idle) < ENOUGH or len(self._sampled) < ENOUGH:
            self.every = SETTLE
            return
        extra = max(median(self._sampled) - median(self._idle), 0.0)
        step = max(self.seconds, 1e-9)
        hooks = IDLE + LOOK * (step >= LONG)
        budget = (1 - REPEATS) * self.budget * step
        allowed = max(budget - hooks, LEAST * budget)
        least = min(max(math.ceil(extra / allowed), SHORTEST), LONGEST)
        self.every = 1 << (least - 1).bit_length()
        self.cost = (hooks + extra / self.every) / step
