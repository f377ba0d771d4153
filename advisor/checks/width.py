"""width."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..place import of_layer
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Few filters in the first convolution.

    Why it matters
        What the first layer does not keep, no later one can find again.

    How it is decided
        Fewer than 8 filters on pictures of 32 pixels or more: told.

    When it is a false alarm
        Small tasks.

    What to do
        16 to 64 filters.
    """
    convs = at.trial("model").get("convs") or ()
    size = [int(side) for side in ((at.facts.get("shapes") or {}).get("input") or ())[2:]]
    if not convs or not size or max(size) < limit["pixels"]:
        return None
    name, filters = str(convs[0][0]), int(convs[0][7])
    if filters >= limit["filters"]:
        return Verdict("pass", f"{filters} filters in the first convolution", float(filters), limit["filters"])
    return Verdict(
        "info",
        f"{filters} filters in the first convolution",
        float(filters),
        limit["filters"],
        f"{name}: {filters} → 32 filters{of_layer(at, name)}",
        "the training loss falls further",
    )


CHECK = Check("width", "filters enough in the first layer", "Note C108.", judge, {"filters": 8, "pixels": 32})
