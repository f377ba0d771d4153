"""Lines of the tables: a number, its intervals, and whether it is what is to be reached."""

from __future__ import annotations

import statistics as stats
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from .statistics import bootstrap, wilson

T = TypeVar("T")
WIDTH = 46


def by_family(items: Iterable[T], value: Callable[[T], float], family: Callable[[T], str]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for item in items:
        found.setdefault(family(item), []).append(value(item))
    return found


def rate(name: str, items: Sequence[T], hit: Callable[[T], bool], family: Callable[[T], str], reach: str = "") -> str:
    """One line: k of n, Wilson's interval, the interval over families, and what is to be reached (``>= 90``, in %)."""
    values = by_family(items, lambda item: float(bool(hit(item))), family)
    hits, n = int(sum(map(sum, values.values()))), len(items)
    if not n:
        return f"{name:{WIDTH}} none"
    low, high = wilson(hits, n)
    drawn = bootstrap(values)
    return (
        f"{name:{WIDTH}} {hits:4} of {n:4}  {100 * hits / n:5.1f} %"
        f"   {100 * low:3.0f} to {100 * high:3.0f} %   families {100 * drawn[0]:3.0f} to {100 * drawn[1]:3.0f} %"
        + reached(100 * hits / n, reach)
    )


def reached(value: float, reach: str) -> str:
    """Whether a number is what is to be reached, such as ``>= 90``."""
    if not reach:
        return ""
    sign, _, bound = reach.partition(" ")
    met = value >= float(bound) if sign == ">=" else value <= float(bound)
    return f"   to reach {reach}: {'met' if met else 'missed'}"


def average(name: str, items: Sequence[T], value: Callable[[T], float], family: Callable[[T], str]) -> str:
    """One line: the mean, and its interval over families."""
    if not items:
        return f"{name:{WIDTH}} none"
    low, high = bootstrap(by_family(items, value, family))
    return f"{name:{WIDTH}} {stats.mean(map(value, items)):.3f}{'':22} families {low:.2f} to {high:.2f}"
