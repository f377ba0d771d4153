"""data-bottleneck."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import numpy as np

from nnwatch.frame import Evidence

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..fixes import DATA_STALL, remedies, titles
from ..machine import samples
from ..rule import Rule
from ..window import median


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Training waits for its data.

    Why it matters
        The part of each step that is spent waiting for the next batch is paid for and gives nothing.

    How it is decided
        Mechanism: over the newest window, after the first 50 steps (the first third of a shorter run), more than 30 %
        of the time of a step goes into waiting for the loader (50 % where training runs on the CPU), and at least one
        millisecond (five). Outcome: the GPU is busy for less than 70 % of the time; on a CPU, the processes hardly
        compute while the machine is not busy, or the training thread sleeps for most of the wait: it neither computes
        nor queues for a core, however busy the machine is. A loader that computes itself, or a machine that others keep
        busy, needs more than 80 %, and idle cores, or processes that use no more than what is left of the step. The
        first alone is *watch*. Where no loader tells how long it is waited for, more than 60 % of a step asleep (and
        five milliseconds) is both, on a CPU.

    When it is a false alarm
        The first epoch, while files come into the cache, is slower than the rest: the finding then closes by itself.
        Steps of a millisecond spend half their time in any loader, and nobody waits for them.

    What to do
        More worker processes first; pinned memory and prefetching for a GPU; then decode and resize once instead of in
        every epoch.
    """
    after = int(min(limit["after"], at.planned // 3 if at.planned else limit["after"]))
    if at.step < at.track.segment.first_step + after:
        raise Abstain("the first steps fill caches")
    on_gpu = str(at.facts.get("device") or "cpu").startswith("cuda")
    since = at.track.segment.first_step + after // 2
    if not at.has("data.wait") and not on_gpu:
        return _asleep(at, since, limit)
    wait, step = at.window(at.view("data.wait").since(since)), at.window(at.view("step.seconds").since(since))
    waited, took = _usual(wait.scalar), _usual(step.scalar)
    share = waited / took if took > 0 else 0.0
    if not at.exceeds(share, limit["gpu"] if on_gpu else limit["cpu"]):
        return None
    if waited < (1e-3 if on_gpu else 5e-3):
        return None
    keys = [f"{number(1e3 * waited)} of {number(1e3 * took)} ms of a step go into waiting for the next batch"]
    began = float(step.series.times[step.series.until(int(step.steps[0])) - 1])
    busy = _idle_gpu(at, began) if on_gpu else _sleeps(at, since, waited) or _idle_cores(at, share, began, limit)
    if busy:
        keys.append(busy)
    return _found(at, share, waited, took, int(step.steps[0]), "data.wait", tuple(keys))


def _asleep(at: Context, since: int, limit: Mapping[str, float]) -> Found | None:
    """There is no loader: most of the step the thread sleeps."""
    if at.facts.get("distributed") or at.rl:
        raise Abstain("what a step of several processes, or of an environment, sleeps for is not known")
    idle = at.late(at.view("step.idle").since(since))
    took = at.view("step.seconds").scalar[np.searchsorted(at.view("step.seconds").steps, idle.steps)]
    if len(idle.steps) < limit["looks"]:
        raise Abstain("too few steps were looked at for sleep")
    slept, whole = median(idle.scalar), median(took)
    share = slept / whole if whole > 0 else 0.0
    if not at.exceeds(share, limit["asleep"]) or slept < 5e-3:
        return None
    return _found(
        at, share, slept, whole, int(idle.steps[0]), "step.idle",
        (f"{number(1e3 * slept)} of {number(1e3 * whole)} ms of a step the training thread sleeps",
         f"it neither computes nor queues for a core meanwhile, in {len(idle.steps)} steps that were looked at"),
    )  # fmt: skip


def _found(
    at: Context, share: float, waited: float, took: float, begin: int, metric: str, keys: tuple[str, ...]
) -> Found:
    return Found(
        "warn",
        f"{percent(share)} of the time goes into waiting for data ({number(1e3 * waited)} ms a step)",
        keys,
        begin,
        (Evidence(metric, waited, took, "seconds a step waits, against the step", begin, at.step),),
        remedies(at, DATA_STALL, f"a step takes {number(1e3 * (took - waited))} ms, {number(1e3 * took)} now"),
        "If workers do not help, time __getitem__ alone: a single slow call, a lock or a network file system.",
    )


def _sleeps(at: Context, since: int, waited: float) -> str | None:
    """The thread that trains sleeps while it waits; not where workers load for it, which may well compute."""
    if at.facts.get("workers") or not at.has("step.idle"):
        return None
    idle = at.view("step.idle").since(since)
    slept = median(idle.scalar)
    if len(idle.steps) < 3 or slept < 0.6 * waited:
        return None
    return f"the thread that trains sleeps for {number(1e3 * slept)} ms of a step: it neither computes nor queues"


def _usual(seconds: np.ndarray) -> float:
    """Mean without the longest twentieth: evaluations and checkpoints are no part of a step."""
    known = np.sort(seconds[np.isfinite(seconds)])
    return float(np.mean(known[: max(1, int(0.95 * len(known)))])) if len(known) else 0.0


def _idle_gpu(at: Context, began: float) -> str | None:
    with suppress(Abstain):
        busy = float(np.nanmax(np.nanmean(samples(at, "gpu.percent", began).last(60).values, axis=0)))
        return f"the GPU is busy for {busy:.0f} % of the time" if busy < 70 else None
    return None


def _idle_cores(at: Context, share: float, began: float, limit: Mapping[str, float]) -> str | None:
    """What shows that waiting is idle. Loader and training share the cores of a CPU: one that computes is no wait, and
    where other programs take the cores, little use of them proves nothing unless it is that of the rest of the step."""
    with suppress(Abstain):
        uses, loads = (samples(at, metric, began).last(60).scalar for metric in ("cpu.percent", "host.cpu.percent"))
        if min(len(uses), len(loads)) < limit["samples"]:
            return None  # the first one of a process is always 0
        used, busy = median(uses), median(loads)
        free = not busy >= 80
        if used < 60 and free:
            return f"its processes use {used:.0f} % of a core: they wait"
        if share < limit["most"]:
            return None
        if free:
            return f"{100 - busy:.0f} % of the machine's cores are idle"
        if used < 150 * (1 - share) + 10:
            return f"its processes use {used:.0f} % of a core, no more than the rest of the step takes"
    return None


RULE = Rule(
    "data-bottleneck",
    "training waits for data",
    "statistical",
    ("data.wait", "step.seconds", "step.idle", "gpu.percent", "cpu.percent", "host.cpu.percent"),
    titles(DATA_STALL),
    "Note C119; a training on the CPU shares its cores with the loader, so up to 50 % is usual there.",
    check,
    {"gpu": 0.3, "cpu": 0.5, "most": 0.8, "samples": 5, "looks": 5, "asleep": 0.6, "after": 50},
)
