"""memory-leak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..machine import samples
from ..rule import Rule
from ..window import BLOCKS, View, block_medians, trend

ITEM = "Keep numbers, not tensors"
CACHE = "Bound what is kept"
OTHERWISE = "If nothing is kept, compare torch.cuda.memory_snapshot() of two steps: which allocation is new?"
MIB, GIB = 1 << 20, 1 << 30


class Growth(NamedTuple):
    """A steady rise: bytes at its beginning and now, the steps between, and how even it is (1: both halves alike)."""

    metric: str
    first: float
    last: float
    first_step: int
    last_step: int
    evenness: float

    @property
    def per_step(self) -> float:
        return (self.last - self.first) / max(1, self.last_step - self.first_step)


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The memory in use grows from step to step and does not stop.

    Why it matters
        The run ends with an out-of-memory error, hours after its cause.

    How it is decided
        Exact: where the memory that the C library has given out grows from look to look, the tensors that Python keeps
        are counted; those that keep their graph are one more in every second step at least, between two countings and
        in all. Nothing that trains needs the graphs of so many earlier steps. Else: over the last four fifths of the
        run that memory rises by the same in every step, by more than two batches take (one, from the third epoch on).
        Where neither is told (on a GPU, with another C library), after the first fifth of the run and over 500 steps
        or more, mechanism: what torch has allocated on the GPU (or the resident memory of the processes, a minute of it
        and more) rises with a Mann-Kendall z over 4, by over 0.1 % in 100 steps. Outcome: it does not level off: both
        halves rise alike; and it has grown by over 2 % (10 % and 100 MiB for the processes, whose caches fill).

    When it is a false alarm
        A cache that fills slowly, a replay buffer, a data set that is read into memory as it is used: they level off,
        and then the finding closes. Of a reinforcement learner, whose memory fills, only graphs count.

    What to do
        Look for what is kept in every step: losses.append(loss) keeps the whole graph, losses.append(loss.item()) a
        number. Lists of outputs, retain_graph=True and hooks that store tensors do the same.
    """
    if found := _graphs(at, limit) or _heap(at, limit):
        return found
    if at.step < at.track.segment.first_step + limit["steps"]:
        raise Abstain("too early: memory settles in the first steps")
    growth = _allocated(at, limit) or _resident(at, limit)
    if growth is None:
        return None
    grown = growth.last / growth.first - 1
    total = _total(at, growth.metric)
    keys = [
        f"it rose by {number(growth.per_step / MIB)} MiB a step over {growth.last_step - growth.first_step:,} steps",
        f"it does not level off: the second half rose {number(growth.evenness)} times as much as the first",
    ]
    left = ""
    if total and growth.per_step > 0:
        left = f"; {number(total / GIB)} GiB are full after {(total - growth.last) / growth.per_step:,.0f} more steps"
    where = "on the GPU" if growth.metric == "memory.allocated" else "of the processes"
    expect = f"{growth.metric} stays at {number(growth.first / GIB)} GiB"
    return Found(
        "warn",
        f"memory {where} rises from {number(growth.first / GIB)} to {number(growth.last / GIB)} GiB "
        f"({percent(grown)}){left}",
        tuple(keys),
        growth.first_step,
        (Evidence(growth.metric, growth.last, growth.first, "bytes now, against then", growth.first_step, at.step),),
        _remedies(expect),
        OTHERWISE,
    )


def _graphs(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Tensors that keep the graph they were made by, one more with each step."""
    if not at.has("tensors.graph"):
        return None
    view = at.view("tensors.graph")
    known = np.isfinite(view.scalar)
    steps, counts = view.steps[known], view.scalar[known]
    if len(steps) < 2:
        return None
    (first, then), (last, now) = (int(steps[-2]), float(counts[-2])), (int(steps[-1]), float(counts[-1]))
    each = (now - then) / max(1, last - first)
    if each < limit["each"] or now < limit["each"] * (last - at.track.segment.first_step):
        return None
    expect = "tensors.graph stays where it is"
    return Found(
        "warn",
        f"{now:,.0f} tensors are kept with the graph that made them, {number(each)} more with every step",
        (f"at step {first:,} they were {then:,.0f}, at step {last:,} {now:,.0f}",),
        first,
        (Evidence("tensors.graph", now, then, "tensors with a graph, against those before", first, last),),
        _remedies(expect),
        OTHERWISE,
        exact=True,
    )


def _heap(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Every step leaves more behind than a batch takes."""
    if (
        at.rl
        or at.moving_targets
        or not at.has("memory.heap")
        or at.step < at.track.segment.first_step + limit["after"]
    ):
        return None
    late = at.view("memory.heap").since(at.track.segment.first_step + (at.step - at.track.segment.first_step) // 5)
    if len(late.steps) < limit["looks"]:
        return None
    used, between = late.scalar.astype(np.float64), np.diff(late.steps)
    rises = np.diff(used) / between
    batch = 4.0 * float(np.prod((at.facts.get("shapes") or {}).get("input") or (0,)))
    if not at.has("epoch") or at.view("epoch").scalar[-1] < 3:
        batch *= 2  # a data set that is kept as it is read grows by a batch a step
    each = float(np.median(rises))
    if each < max(batch, limit["least"]) or float(np.min(rises)) < 0.5 * each or float(np.max(rises)) > 2 * each:
        return None
    begin, expect = int(late.steps[0]), "memory.heap stays where it is"
    return Found(
        "warn",
        f"every step leaves {number(each / 1024)} KiB behind, more than a batch takes",
        (
            f"from step {begin:,} to {late.steps[-1]:,} the memory given out rose from {number(used[0] / MIB)} "
            f"to {number(used[-1] / MIB)} MiB",
            f"evenly: by {number(float(np.min(rises)) / 1024)} KiB a step at least",
        ),
        begin,
        (Evidence("memory.heap", float(used[-1]), float(used[0]), "bytes given out, against then", begin, at.step),),
        _remedies(expect),
        OTHERWISE,
    )


def _remedies(expect: str) -> tuple[Remedy, ...]:
    return (
        Remedy(ITEM, "losses.append(loss) → losses.append(loss.item()), and detach() what must stay a tensor", expect),
        Remedy(CACHE, "lists and caches without an end → deque(maxlen=1000)", expect),
    )


def _allocated(at: Context, limit: Mapping[str, float]) -> Growth | None:
    if not at.has("memory.allocated"):
        return None
    return _steady(at, "memory.allocated", at.view("memory.allocated"), 0.02, MIB, limit)


def _resident(at: Context, limit: Mapping[str, float]) -> Growth | None:
    view = samples(at, "memory.rss")
    if len(view.steps) < limit["samples"]:
        raise Abstain("less than a minute of samples")
    return _steady(at, "memory.rss", view, 0.1, 100 * MIB, limit)


def _steady(
    at: Context, metric: str, view: View, share: float, least: float, limit: Mapping[str, float]
) -> Growth | None:
    """The rise after the first fifth of the run; None where there is none, or where it levels off."""
    late = view.since(at.track.segment.first_step + (at.step - at.track.segment.first_step) // 5)
    blocks = block_medians(late.scalar)
    if len(blocks) < BLOCKS or trend(blocks) < 4:
        return None
    first, middle, last = float(blocks[0]), float(blocks[BLOCKS // 2]), float(blocks[-1])
    steps = int(late.steps[-1] - late.steps[0])
    grown = last - first
    if steps < limit["steps"] / 2 or grown < max(share * first, least, limit["rate"] * first * steps / 100):
        return None
    evenness = (last - middle) / max(middle - first, 1e-9)
    if not 0.5 < evenness < 4:
        return None
    return Growth(metric, first, last, int(late.steps[0]), int(late.steps[-1]), evenness)


def _total(at: Context, metric: str) -> float | None:
    try:
        name = "gpu.memory.total" if metric == "memory.allocated" else "host.memory.total"
        return float(np.nanmax(samples(at, name).values[-1]))
    except Abstain:
        return None


RULE = Rule(
    "memory-leak",
    "memory grows without end",
    "statistical",
    ("tensors.graph", "memory.heap", "memory.allocated", "memory.rss", "gpu.memory.total", "host.memory.total"),
    (ITEM, CACHE),
    "Countings of what is alive; Theil-Sen and Mann-Kendall over block medians of four fifths of the run.",
    check,
    {"each": 0.5, "looks": 8, "least": 4096, "after": 40, "steps": 500, "samples": 60, "rate": 0.001},
)
