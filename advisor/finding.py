"""What a rule says when it has found something, before the engine gives it a number and a place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nnwatch.frame import SEVERITIES, Evidence, Remedy, Severity


class Abstain(Exception):  # noqa: N818 - to abstain is no error
    """Raised by a rule that cannot judge; the text says why, in a plain sentence that does not change with the step."""


@dataclass(frozen=True)
class Found:
    """Evidence against the run at one boundary.

    ``keys`` are independent reasons to believe it, the mechanism first: a statistical finding with only one
    is at most *watch*. ``exact`` findings rest on no threshold (a NaN, a parameter in no optimizer): one key
    suffices, they need no confirmation and no context caps them.
    """

    severity: Severity
    what: str
    keys: tuple[str, ...]
    first_step: int
    evidence: tuple[Evidence, ...]
    remedies: tuple[Remedy, ...]
    otherwise: str
    layer: str | None = None
    title: str | None = None
    exact: bool = False


def lower(a: Severity, b: Severity) -> Severity:
    """The milder of two severities."""
    return SEVERITIES[min(SEVERITIES.index(a), SEVERITIES.index(b))]


def number(x: float) -> str:
    """Three significant digits, as a person would write them: 0.3, 2.31, 1e-5, 4.2e+4."""
    if not math.isfinite(x):
        return str(x)
    if x == 0 or 1e-3 <= abs(x) < 1e4:
        return f"{x:.3g}" if abs(x) < 1000 else f"{x:.0f}"
    mantissa, exponent = f"{x:.2e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def percent(share: float) -> str:
    return f"{100 * share:.2g} %" if abs(share) < 0.995 else f"{100 * share:.0f} %"


def count(n: int, what: str) -> str:
    """1 step, 2 steps."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def of_size(ratio: float) -> str:
    """A change against what it changes: "41 % of its size", "3,400 times its size"."""
    return f"{ratio:,.0f} times its size" if ratio >= 10 else f"{percent(ratio)} of its size"


def some(names: Sequence[str]) -> str:
    """The first three of many names: "a, b, c and 7 more"."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
