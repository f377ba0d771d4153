"""validation-fixed."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Whether the validation data are the same from run to run.

    Why it matters
        Two runs that were validated on different samples cannot be compared.

    How it is decided
        Exact: a digest of validation samples, where they are the same each time they are read, against that of the
        newest earlier check of this script. Without one: a split that is drawn at random
        (torch.utils.data.random_split) while the script seeds nothing is told.

    When it is a false alarm
        New data have come in between: then the old figures are void, which is what it says.

    What to do
        random_split(..., generator=torch.Generator().manual_seed(0)), or a split that is written down.
    """
    held = next((at.sets()[role] for role in ("validation", "test") if role in at.sets()), None)
    if held is None:
        return None
    before, now = at.facts.get("validation_digest"), held.get("digest")
    if before and now and not held.get("varies"):
        if before == now:
            return Verdict("pass", "the same validation samples as in the check before")
        return Verdict(
            "warn",
            "other validation samples than in the check before",
            None,
            None,
            "a split drawn anew → generator=torch.Generator().manual_seed(0)",
            "the next check finds the same samples",
        )
    if held.get("drawn") and (at.facts.get("seeds") or {}).get("torch") is None:
        return Verdict(
            "info",
            "the validation samples are drawn at random and no seed is set",
            None,
            None,
            "random_split(...) → generator=torch.Generator().manual_seed(0)",
            "the next check finds the same samples",
        )
    return Verdict("pass", "nothing in the script draws the validation samples anew")


CHECK = Check("validation-fixed", "the same validation data each time", "Notes B24, B40. Exact.", judge)
