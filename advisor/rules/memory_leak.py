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
        Mechanism: after the first fifth of the run and over 500 steps or more, what torch has allocated on the GPU (or
        the resident memory of the processes, a minute of it and more) rises with a Mann-Kendall z over 4, by over
        0.1 % in 100 steps. Outcome: it does not level off: both halves rise alike; and it has grown by over 2 % (10 %
        and 100 MiB for the processes, whose caches fill).

    When it is a false alarm
        A cache that fills slowly, a replay buffer, a data set that is read into memory as it is used: they level off,
        and then the finding closes. A run of under a minute is not judged: what it keeps is given back before it fills
        anything.

    What to do
        Look for what is kept in every step: losses.append(loss) keeps the whole graph, losses.append(loss.item()) a
        number. Lists of outputs, retain_graph=True and hooks that store tensors do the same.
    """
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
        (
            Remedy(ITEM, "losses.append(loss) → losses.append(loss.item()), and detach() what must stay a tensor",
                   expect),
            Remedy(CACHE, "lists and caches without an end → deque(maxlen=1000)", expect),
        ),
        "If nothing is kept, compare torch.cuda.memory_snapshot() of two steps: which allocation is new?",
    )  # fmt: skip


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
    ("memory.allocated", "memory.rss", "gpu.memory.total", "host.memory.total"),
    (ITEM, CACHE),
    "Theil-Sen and Mann-Kendall over block medians of four fifths of the run.",
    check,
    {"steps": 500, "samples": 60, "rate": 0.001},
)
