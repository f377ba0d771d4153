"""What watching takes, measured while it goes on, by the CPU time of the training thread.

Of a sampled step: the whole step less an unsampled one, as timing our own code alone misses the slower module calls
and the cold caches that it leaves behind; and what is done between the steps to prepare it and after it. Of an
unsampled step, where the difference is far below what two equal steps differ by: the time inside the hooks.
"""

from __future__ import annotations

import os
from collections import deque
from time import perf_counter, thread_time

KEPT = 15
"""Newest durations that a median is taken of."""
ENOUGH = 5
"""Durations of each kind of step before anything is said."""
FRAMES = 2e-6
"""Seconds, besides, for what leads into the hooks and out of them: no clock is read there. Measured in the loop of a
small perceptron, between two operations of which caches are cold: `python -m tests.bench.bench_probes`."""
WARM = 3
"""First samples, which load and build what later ones find."""


def median(values: deque[float]) -> float:
    """Loading ``statistics`` for it would cost every process that imports torch 15 ms."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def queued() -> float:
    """Seconds that this thread has waited for a processor (the second field of schedstat, Linux's
    Documentation/scheduler/sched-stats); 0 where that is not told."""
    try:
        file = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0.0
    try:
        return int(os.read(file, 64).split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
    finally:
        os.close(file)


class Bill:
    """Between ``resume`` and ``ended`` lies a step, between ``ended`` or ``pause`` and ``resume`` our own work."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """Of an unsampled step, without those in which the thread waited for a processor; 0 until known."""
        self._mark: float | None = None
        self._waited = self._resumed = self._began = self._between = 0.0
        self._kind: int | None = None
        self._sampled: float | None = None
        self._made: dict[int, int] = {}
        self._took: dict[int, deque[float]] = {}
        self._idle: deque[float] = deque(maxlen=KEPT)
        self._hooks: deque[float] = deque(maxlen=KEPT)
        self._steps: deque[float] = deque(maxlen=KEPT)

    def ended(self, kind: int | None, hooks: float, disturbed: bool) -> None:
        """A step is over, whose hooks took ``hooks`` seconds; sampled as ``kind`` says, or not (None)."""
        self._began = now = thread_time()
        took = now - self._mark if self._mark is not None and not disturbed else None
        self._kind = kind
        if kind is not None:
            self._sampled = took
            self._made[kind] = self._made.get(kind, 0) + 1
        elif took is not None:
            self._idle.append(took)
            self._hooks.append(hooks)
            self._steps.append(max(perf_counter() - self._resumed - (queued() - self._waited), took))
            self.seconds = median(self._steps)

    def pause(self) -> None:
        """The step before has not been measured."""
        self._began = thread_time()

    def resume(self, sampled: bool | None) -> None:
        """The next step begins, which is to be measured, as a sampled one or not; None: not at all."""
        if sampled is False:
            self._waited = queued()
        self._resumed = perf_counter()
        now = thread_time()
        self._between += now - self._began
        if self._kind is not None:
            if self._sampled is not None and sum(self._made.values()) > WARM:
                self._took.setdefault(self._kind, deque(maxlen=KEPT)).append(self._sampled + self._between)
            self._kind, self._between = None, 0.0
        self._mark = now if sampled is not None else None

    @property
    def enough(self) -> bool:
        return len(self._idle) >= ENOUGH and sum(map(len, self._took.values())) >= ENOUGH

    @property
    def hooks(self) -> float:
        """Seconds that an unsampled step takes longer."""
        return median(self._hooks) + FRAMES

    @property
    def extra(self) -> float:
        """Seconds that a sampled step takes longer: of the kinds that there are, each as often as it was made."""
        made = {kind: self._made[kind] for kind in self._took}
        whole = sum(median(took) * made[kind] for kind, took in self._took.items()) / sum(made.values())
        return max(whole - median(self._idle), 0.0)
