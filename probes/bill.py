"""What watching takes, measured while it goes on, by the CPU time of the training thread.

Of a sampled step: the whole step less an unsampled one of the same optimizer, as timing our own code alone misses the
slower module calls and the cold caches that it leaves behind; and what is done between the steps to prepare it and
after it. Of an unsampled step, where the difference is far below what two equal steps differ by: the time inside the
hooks.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from time import perf_counter, thread_time

KEPT = 15
"""Newest durations that a median is taken of."""
ENOUGH = 5
"""Durations of each kind of step before anything is said."""
SEEN = 0.5
"""Share of what an unsampled step takes longer that passes inside its hooks, where the clock is read. The rest is what
leads into them and out of them, and what they put out of the caches: of the misses of the instruction cache that a
step has more with hooks than without, half lie in them, and half of the time on a quiet machine (see the results of
`python -m tests.bench.bench_probes`).
"""
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


class Plain:
    """Unsampled steps of one optimizer, the newest ones: CPU seconds, those of the hooks, and seconds without the ones
    in which the thread waited for a processor."""

    def __init__(self) -> None:
        self.made = 0
        self.took: deque[float] = deque(maxlen=KEPT)
        self.hooks: deque[float] = deque(maxlen=KEPT)
        self.seconds: deque[float] = deque(maxlen=KEPT)


class Bill:
    """Between ``resume`` and ``ended`` lies a step, between ``ended`` or ``pause`` and ``resume`` our own work.

    Where several optimizers step in turn, a step of one is compared with others of it: they differ by more than
    watching takes."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """Of an unsampled step, without those in which the thread waited for a processor; 0 until known."""
        self._mark: float | None = None
        self._waited = self._resumed = self._began = self._between = 0.0
        self._kind: tuple[int, int] | None = None
        self._sampled: float | None = None
        self._made: dict[tuple[int, int], int] = {}
        self._took: dict[tuple[int, int], deque[float]] = {}
        """By the kind of the sample and the optimizer."""
        self._plain: dict[int, Plain] = {}
        """By the optimizer."""

    def ended(self, kind: int | None, hooks: float, disturbed: bool, turn: int) -> None:
        """A step of the optimizer ``turn`` is over, whose hooks took ``hooks`` seconds; sampled as ``kind`` says, or
        not (None)."""
        self._began = now = thread_time()
        took = now - self._mark if self._mark is not None and not disturbed else None
        self._kind = None
        if kind is not None:
            self._kind = kind, turn
            self._sampled = took
            self._made[self._kind] = self._made.get(self._kind, 0) + 1
        elif took is not None:
            plain = self._plain.setdefault(turn, Plain())
            plain.made += 1
            plain.took.append(took)
            plain.hooks.append(hooks)
            plain.seconds.append(max(perf_counter() - self._resumed - (queued() - self._waited), took))
            self.seconds = self._typical(lambda each: each.seconds)

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
        return sum(len(self._took[each]) for each in self._comparable()) >= ENOUGH

    def _comparable(self) -> list[tuple[int, int]]:
        """Kinds of samples whose optimizer has made enough unsampled steps."""
        known = {turn for turn, plain in self._plain.items() if len(plain.took) >= ENOUGH}
        return [each for each in self._took if each[1] in known]

    def _typical(self, what: Callable[[Plain], deque[float]]) -> float:
        """Of all optimizers, each as often as it stepped."""
        steps = self._plain.values()
        return sum(median(what(plain)) * plain.made for plain in steps) / sum(plain.made for plain in steps)

    @property
    def hooks(self) -> float:
        """Seconds that an unsampled step takes longer."""
        return self._typical(lambda each: each.hooks) / SEEN

    @property
    def extra(self) -> float:
        """Seconds that a sampled step takes longer: of the kinds that there are, each as often as it was made."""
        more = {each: median(self._took[each]) - median(self._plain[each[1]].took) for each in self._comparable()}
        return max(sum(more[each] * self._made[each] for each in more) / sum(self._made[each] for each in more), 0.0)
