"""gradient."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import number
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Autograd functions of one's own against finite differences.

    Why it matters
        A backward() with a wrong factor trains, only worse than it should.

    How it is decided
        For every torch.autograd.Function of the script that a captured step calls: central differences in double
        precision. A relative error over 1e-2 is an error, over 1e-4 it is told.

    When it is a false alarm
        Straight-through estimators and gradient reversal have another gradient on purpose: then leave it.

    What to do
        torch.autograd.gradcheck on the function alone.
    """
    functions = at.trial("custom").get("functions") or ()
    if not functions:
        return None
    worst = max(functions, key=lambda entry: float(entry["error"]))
    error, place = float(worst["error"]), f" ({worst['line']})" if worst.get("line") else ""
    said = f"backward() of {worst['name']} is off by {number(error)} of its size"
    if error <= limit["told"]:
        return Verdict(
            "pass", f"{len(functions)} autograd functions agree with finite differences", error, limit["told"]
        )
    return Verdict(
        "error" if error > limit["error"] else "info",
        said,
        error,
        limit["told"],
        f"{worst['name']}.backward(){place} → one that torch.autograd.gradcheck accepts",
        "the error is under 1e-4",
    )


CHECK = Check("gradient", "gradients written by hand", "Notes C236-238, C366.", judge, {"told": 1e-4, "error": 1e-2})
