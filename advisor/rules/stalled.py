"""stalled."""

from __future__ import annotations

from collections.abc import Mapping

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Found, number
from ..rule import Rule

LOOK = "See where it waits"
TIMEOUT = "Let the loader time out"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """No step has been taken for far longer than a step usually takes.

    Why it matters
        A deadlocked loader, a rank that waits for another in a collective or a file server that does not answer hold
        the machine for as long as nobody looks.

    How it is decided
        The monitor notices: no step, no validation batch and no output for two minutes at least, fifty usual steps,
        and three times the longest silence so far. It is an error while the processes use next to no CPU, and *watch*
        while they compute, as a long evaluation does. It is over with the next step.

    When it is a false alarm
        A first long evaluation, or a checkpoint that is written to a slow disk.

    What to do
        Look at the line where each rank is; it is read from outside when the silence begins, and again by
        `nnwatch stacks`. In data-parallel training the rank that is not in a collective holds the others up.
    """
    segment = at.track.segment.segment
    events = [e for e in at.history.events if e.name == "stalled" and e.segment == segment and e.step == at.step]
    if not events or at.end is not None:
        return None
    event = events[0].data
    seconds, usual, busy = float(event.get("seconds") or 0), float(event.get("usual") or 0), event.get("cpu")
    severity: Severity = "watch" if busy is not None and busy > limit["busy"] else "error"
    where = event.get("where")
    why = "the main thread is " + str(where) if where else "what it waits for is not known"
    keys = [why + (f"; its processes use {busy:.0f} % of a core" if busy is not None else "")]
    looks = [e.data for e in at.history.events if e.name == "stacks" and e.time <= events[0].time]
    place = str(looks[-1].get("said") or "") if looks else ""
    keys += [place] if place else []
    workers = int(at.facts.get("workers") or 0)
    remedies = [Remedy(LOOK, "the script as it runs → nnwatch stacks, twice", "the line that does not move")]
    if workers:
        change = f"num_workers={workers}, no timeout → timeout=60, and num_workers=0 to see the loader's own error"
        remedies.append(Remedy(TIMEOUT, change, f"a step takes {number(usual)} s again, or an exception says why not"))
    return Found(
        severity,
        f"no step for {seconds:,.0f} s after step {at.step}; a step usually takes {number(usual)} s",
        tuple(keys),
        at.step,
        (Evidence("step.seconds", seconds, usual, "seconds of silence against a usual step", at.step, at.step),),
        tuple(remedies),
        "If it stalls at the same step each time, take that batch alone; if at another, look at the machine.",
        exact=True,
    )


RULE = Rule(
    "stalled",
    "training stands still",
    "fact",
    ("step.seconds",),
    (LOOK, TIMEOUT),
    "The monitor's clock (`nnwatch/stall.py`).",
    check,
    {"busy": 20},
    votes=(1, 1),
)
