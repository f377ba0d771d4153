"""rank-straggler."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..machine import named, ranks
from ..rule import Rule
from ..window import View, median

SHARE = "Share the data evenly"
HOST = "Look at that rank's machine"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """One rank is slower than the others, and all wait for it.

    Why it matters
        Gradients are averaged in every step, so each step takes as long as on the slowest rank.

    How it is decided
        Mechanism: over the newest 200 steps one rank waits for its data longer than the median of the others, by over a
        fifth of a step and ten milliseconds. Outcome: all ranks take the same time for a step, so the others waited for
        it. Where the step times themselves differ by that much, the ranks do not wait for each other: *watch*.

    When it is a false alarm
        The first epoch, while each rank fills its own cache.

    What to do
        Compare that rank's loader, its storage and its share of the CPU cores with the others'; bucket samples by
        length, so that no rank gets the long ones.
    """
    if not at.facts.get("distributed"):
        raise Abstain("training is not distributed")
    if at.step < at.track.segment.first_step + limit["after"]:
        raise Abstain("too early: caches are filling")
    steps = _medians(ranks(at, "step.seconds"))
    if len(steps) < 2:
        raise Abstain("one rank only is known")
    waits: dict[int, float] = {}
    with suppress(Abstain):
        waits = _medians(ranks(at, "data.wait"))
    usual = float(np.median(list(steps.values())))
    together = max(steps.values()) < (1 + limit["share"]) * min(steps.values())
    slow, late = _latest(waits if together and len(waits) > 1 else steps)
    if not at.exceeds(late / usual, limit["share"]) or late < limit["seconds"]:
        return None
    severity: Severity = "warn" if together else "watch"
    what = "waits for its data" if together else "takes for a step"
    who = named(at, slow)
    keys = [f"{who} {what} {number(1e3 * late)} ms longer than the others"]
    if together:
        keys.append(f"every rank takes {number(1e3 * usual)} ms for a step: the others wait for it")
    metric = "data.wait" if together else "step.seconds"
    value = (waits if together else steps)[slow]
    expect = f"a step takes {number(1e3 * (usual - late))} ms" if together else "all ranks take the same time"
    return Found(
        severity,
        f"{who} {what} {number(1e3 * late)} ms longer than the others ({percent(late / usual)} of a step)",
        tuple(keys),
        at.step,
        (Evidence(metric, value, value - late, f"median seconds of rank {slow}, against the others", 0, at.step),),
        (
            Remedy(SHARE, f"rank {slow}'s samples as they are → as many bytes and tokens as the others have", expect),
            Remedy(HOST, f"rank {slow}'s storage and CPU cores → as the other ranks have them", expect),
        ),
        "If another rank is slow next time, the samples are uneven; if it is always this one, the machine is.",
    )


def _medians(views: Mapping[int, View]) -> dict[int, float]:
    """Over the newest steps that all of them have told: those of another node come later."""
    common = min((int(view.steps[-1]) for view in views.values()), default=0)
    return {rank: median(view.before(common + 1).last(200).scalar) for rank, view in views.items()}


def _latest(seconds: Mapping[int, float]) -> tuple[int, float]:
    """The slowest rank, and how much longer it takes than the median of the others."""
    slow = max(seconds, key=lambda rank: seconds[rank])
    others = [value for rank, value in seconds.items() if rank != slow]
    return slow, seconds[slow] - float(np.median(others))


RULE = Rule(
    "rank-straggler",
    "one rank holds the others up",
    "statistical",
    ("step.seconds", "data.wait"),
    (SHARE, HOST),
    "What each rank waits for itself, against a step that takes all of them equally long.",
    check,
    {"share": 0.2, "seconds": 0.01, "after": 50},
)
