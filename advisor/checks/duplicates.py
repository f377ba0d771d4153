"""duplicates."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import Abstain, percent
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Training samples that occur twice, and equal ones with different labels.

    Why it matters
        Duplicates count double, and a random split puts them on both sides. Equal inputs with different labels cannot
        both be right.

    How it is decided
        The exact bytes of every sample that was read, hashed (SHA-1). Over 1 % is told; equal samples with other
        labels are a warning from 1 % on.

    When it is a false alarm
        Few discrete inputs repeat by themselves. Oversampling is meant, after the split.

    What to do
        Drop duplicates before the split; look at the pairs with different labels.
    """
    train = at.set("train")
    found = train.get("duplicates")
    if train.get("seen"):
        raise Abstain("samples were seen as they entered the model only: one that came twice may be one given twice")
    if found is None:
        return None
    read, rows, contradict = int(train["read"]), int(found["rows"]), int(found.get("contradict") or 0)
    share, against = rows / max(read, 1), contradict / max(read, 1)
    if share <= limit["share"]:
        return Verdict("pass", f"{rows} of {read:,} samples read occur twice", share, limit["share"])
    pairs = ", ".join(f"{a} = {b}" for a, b in (found.get("pairs") or ())[:3])
    said = f"{rows} of {read:,} samples read ({percent(share)}) occur twice ({pairs})"
    if contradict:
        said += f", {contradict} of them with another label"
    few = at.facts.get("classes") and len(train.get("shape") or ()) <= 1 and share > limit["discrete"]
    warn = against > limit["share"] and not few
    return Verdict(
        "warn" if warn else "info",
        said,
        against if warn else share,
        limit["share"],
        f"{rows} duplicates → dropped before the split",
        "under 1 % occur twice",
    )


CHECK = Check(
    "duplicates", "samples that occur twice", "Notes K12, K14. Exact hashes.", judge, {"share": 0.01, "discrete": 0.5}
)
