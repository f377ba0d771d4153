"""efficient-shapes."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import some
from ..place import of_layer
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Layer sizes that the matrix units of a GPU take at full speed.

    Why it matters
        In half precision a side that is no multiple of 8 may cost twice the time.

    How it is decided
        Linear layers of 1,000 units or more on a GPU with automatic mixed precision whose sides are no multiples of
        8: told.

    When it is a false alarm
        On a CPU, and in full precision: not asked there.

    What to do
        Vocabulary and hidden sizes rounded up to a multiple of 8 (64 for large ones).
    """
    if not (at.amp and str(at.facts.get("device") or "").startswith("cuda")):
        return None
    layers = [entry for entry in at.trial("model").get("linears") or () if max(entry[1:3]) >= limit["size"]]
    if not layers:
        return None
    odd = [str(entry[0]) for entry in layers if entry[1] % 8 or entry[2] % 8]
    if not odd:
        return Verdict("pass", f"{len(layers)} large layers have sides that are multiples of 8", 0.0, 0.0)
    return Verdict(
        "info",
        f"sides of {some(odd)} are no multiples of 8",
        float(len(odd)),
        0.0,
        f"{odd[0]}{of_layer(at, odd[0])} → sides rounded up to a multiple of 8",
        "all sides are multiples of 8",
    )


CHECK = Check("efficient-shapes", "sizes that fill a GPU", "Notes D18, C106, C261.", judge, {"size": 1000})
