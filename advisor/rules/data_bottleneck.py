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
        Mechanism: over the newest window, after the first 50 steps, more than 30 % of the time of a step goes into
        waiting for the loader (50 % where training runs on the CPU), and at least one millisecond (five). Outcome: the
        GPU is busy for less than 70 % of the time; on a CPU, the processes hardly compute while the machine is not
        busy. A loader that computes itself, or a machine that others keep busy, needs more than 80 %, and idle cores,
        or processes that use no more than what is left of the step. The first alone is *watch*.

    When it is a false alarm
        The first epoch, while files come into the cache, is slower than the rest: the finding then closes by itself.
        Steps of a millisecond spend half their time in any loader, and nobody waits for them.

    What to do
        More worker processes first; pinned memory and prefetching for a GPU; then decode and resize once instead of in
        every epoch.
    """
    if at.step < at.track.segment.first_step + limit["after"]:
        raise Abstain("the first steps fill caches")
    on_gpu = str(at.facts.get("device") or "cpu").startswith("cuda")
    since = at.track.segment.first_step + int(limit["after"]) // 2
    wait, step = at.window(at.view("data.wait").since(since)), at.window(at.view("step.seconds").since(since))
    waited, took = _usual(wait.scalar), _usual(step.scalar)
    share = waited / took if took > 0 else 0.0
    if not at.exceeds(share, limit["gpu"] if on_gpu else limit["cpu"]):
        return None
    if waited < (1e-3 if on_gpu else 5e-3):
        return None
    keys = [f"{number(1e3 * waited)} of {number(1e3 * took)} ms of a step go into waiting for the next batch"]
    began = float(step.series.times[step.series.until(int(step.steps[0])) - 1])
    busy = _idle_gpu(at, began) if on_gpu else _idle_cores(at, share, began, limit)
    if busy:
        keys.append(busy)
    return Found(
        "warn",
        f"{percent(share)} of the time goes into waiting for data ({number(1e3 * waited)} ms a step)",
        tuple(keys),
        int(step.steps[0]),
        (Evidence("data.wait", waited, took, "seconds a step waits, against the step", int(step.steps[0]), at.step),),
        remedies(at, DATA_STALL, f"a step takes {number(1e3 * (took - waited))} ms, {number(1e3 * took)} now"),
        "If workers do not help, time __getitem__ alone: a single slow call, a lock or a network file system.",
    )


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
    ("data.wait", "step.seconds", "gpu.percent", "cpu.percent", "host.cpu.percent"),
    titles(DATA_STALL),
    "Note C119; a training on the CPU shares its cores with the loader, so up to 50 % is usual there.",
    check,
    {"gpu": 0.3, "cpu": 0.5, "most": 0.8, "samples": 5, "after": 50},
)
