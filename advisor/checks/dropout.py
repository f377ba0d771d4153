"""dropout."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import number
from ..place import of_layer
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Dropout of more than one half.

    Why it matters
        More than half of what a layer says is thrown away in each step: the net learns slowly, or not at all.

    How it is decided
        The rates of all dropout layers; over 0.5 is told.

    When it is a false alarm
        Wide layers on little data.

    What to do
        0.1 to 0.5, after the net can overfit.
    """
    rates = [(str(name), float(p)) for name, p in at.facts.get("dropout") or ()]
    if not rates:
        return None
    name, p = max(rates, key=lambda rate: rate[1])
    if p <= limit["p"]:
        return Verdict("pass", f"dropout of at most {number(p)}", p, limit["p"])
    return Verdict(
        "info",
        f"{name} drops {number(p)}",
        p,
        limit["p"],
        f"{name}: p {number(p)} → 0.5{of_layer(at, name)}",
        "the training loss falls faster",
    )


CHECK = Check("dropout", "dropout of at most one half", "Notes C100, C263.", judge, {"p": 0.5})
