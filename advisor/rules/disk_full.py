"""disk-full."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..finding import Found, number
from ..machine import samples
from ..rule import Rule

FREE = "Free some space"
_SAID = re.compile(r"No space left on device|Disk quota exceeded", re.IGNORECASE)
GIB = 1 << 30


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Nothing more can be written to the disk.

    Why it matters
        The next checkpoint is cut off or missing, and with it what the run has learned. Logs and caches fail as well.

    How it is decided
        A fact: an exception that says so, or the recording of this run that could not be written. Seconds that pass
        in between are kept in memory and written when there is room again.

    When it is a false alarm
        The recording may lie on another file system than the checkpoints: then those are in no danger.

    What to do
        Delete old checkpoints and caches, keep the last and the best only, write to a larger disk.
    """
    said = next((e for e in at.events("exception") if _SAID.search(str(e.data.get("message", "")))), None)
    waited = at.events("disk.full")
    if said is None and not waited:
        return None
    step = said.step if said is not None else waited[0].step
    free = 0.0
    if "disk.free" in at.history.system:
        free = float(np.nanmin(samples(at, "disk.free").scalar))
    seconds = sum(float(e.data.get("seconds") or 0) for e in waited)
    why = (
        str(said.data.get("message", "")).splitlines()[0]
        if said is not None
        else f"for {seconds:.0f} seconds the recording could not be written"
    )
    return Found(
        "fatal" if said is not None else "error",
        f"the disk was full at step {step}: {number(free / GIB)} GiB free at the least",
        (why,),
        step,
        (Evidence("disk.free", free, None, "least free bytes where the session lies", step, at.step),),
        (Remedy(FREE, f"{number(free / GIB)} GiB free → room for at least two checkpoints", "disk.free stays level"),),
        "If there is room, look at the quota (`quota -s`) and at inodes (`df -i`).",
        exact=True,
    )


RULE = Rule(
    "disk-full",
    "the disk is full",
    "fact",
    ("disk.free",),
    (FREE,),
    "What the operating system answered.",
    check,
    votes=(1, 1),
)
