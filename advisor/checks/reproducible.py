"""reproducible."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import count
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Whether the same seed gives the same training.

    Why it matters
        Where it does not, a difference between two runs may be chance, and a bug cannot be made to happen again.

    How it is decided
        Some steps are made twice from the same weights and random numbers: the first step whose losses differ is
        named. Told, not judged: many GPU operations add in no fixed order.

    When it is a false alarm
        None: it is what was seen.

    What to do
        torch.use_deterministic_algorithms(True); one generator for everything that is drawn.
    """
    told = at.trial("twice")
    steps, parted = int(told.get("steps") or 0), told.get("parted")
    if parted is None:
        return Verdict("pass", f"{count(steps, 'step')} made twice: equal to the last bit", 0.0, 0.0)
    return Verdict(
        "info",
        f"the same seed twice: the losses part at step {parted}",
        float(parted),
        None,
        "operations in no fixed order → torch.use_deterministic_algorithms(True)",
        "the same steps give the same losses",
    )


CHECK = Check("reproducible", "the same seed, the same training", "Note B28.", judge)
