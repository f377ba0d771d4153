"""shuffle."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import Abstain, number
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Whether the training samples come in an order that the labels show.

    Why it matters
        A batch of one class pulls the net towards that class, the next one away from it.

    How it is decided
        The rule not-shuffled on the batches that were seen: a runs test on neighbouring labels, and how far batches
        differ in theirs. Where the script was stopped before it could judge: a loader that says shuffle=False over
        data whose labels, in the order of the data set, are sorted (runs test, z < -6).

    When it is a false alarm
        Curricula, and sequences that are read in order on purpose.

    What to do
        shuffle=True in the training loader.
    """
    try:
        seen = at.by_rules(("not-shuffled",), "neighbouring labels agree no more often than chance")
    except Abstain:
        seen = None
    declared = at.facts.get("shuffle")
    z = None
    if "train" in at.found:
        z = (at.found["train"].get("target") or {}).get("runs")
    if (seen is None or seen.state == "pass") and declared is False and z is not None and float(z) < -limit["z"]:
        return Verdict(
            "error",
            f"the data are sorted by label (runs test z = {number(float(z))}) and the loader says shuffle=False",
            float(z),
            -limit["z"],
            "shuffle=False → True in the training loader",
            "z is above -6",
        )
    if seen is not None:
        return seen
    if declared not in (None, False):
        return Verdict("pass", f"the loader shuffles ({'shuffle=True' if declared is True else declared})")
    if z is None:
        raise Abstain("neither the order of the labels nor a DataLoader was seen")
    return Verdict("pass", f"labels of neighbouring samples are mixed (z = {number(float(z))})", float(z), -limit["z"])


CHECK = Check("shuffle", "training data in a random order", "Notes C98, C326; runs test.", judge, {"z": 6})
