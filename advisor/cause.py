"""One primary diagnosis, its consequences folded under it.

An edge of the graph holds when the cause began no later than the effect (give or take a window), is at least
*watch*, and the edge's own test of the mechanism passes. Findings that nothing explains are roots; the primary one
is the root whose tree is worst and largest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from nnwatch.frame import SEVERITIES, Severity

from .context import Context
from .finding import Found
from .graph import EDGES, PRIORITY

_PLACE = {rule: place for place, rule in enumerate(PRIORITY)}


class Standing(NamedTuple):
    """What a rule has found, the severity that stands, and the step it began."""

    found: Found
    severity: Severity
    since: int


def confidence(found: Found) -> float:
    """1 - product of (1 - c) over the evidence, c = log10 of how far a number is beyond its reference, at most 1.

    An exact finding has 1, one with a single key at most 0.5. It ranks findings; people are shown the numbers.
    """
    if found.exact:
        return 1.0
    doubt = 1.0
    for item in found.evidence:
        if item.reference and item.value and item.value / item.reference > 0:
            doubt *= 1 - min(abs(math.log10(item.value / item.reference)), 1.0)
    return min(1 - doubt, 0.5 if len(found.keys) < 2 else 1.0)


class Folded(NamedTuple):
    """The primary rule (None when nothing is open); for each consequence the rule that explains it; for each root
    the worst severity of all that it explains: a mechanism that one rule found and an outcome that another found
    are the two keys of the same fault."""

    primary: str | None
    explained: dict[str, str]
    severity: dict[str, Severity]


def fold(open_now: Mapping[str, Standing], at: Context) -> Folded:
    """Fold the open findings under what explains them."""
    parents = {effect: _parents(effect, open_now, at) for effect in open_now}
    roots = [rule for rule in open_now if not parents[rule]]
    covered = {root: _reached(root, parents) for root in roots}

    def rank(root: str) -> tuple[float, ...]:
        tree = covered[root]
        level = max(SEVERITIES.index(open_now[rule].severity) for rule in tree)
        weight = sum(SEVERITIES.index(open_now[r].severity) * (0.5 + confidence(open_now[r].found)) for r in tree)
        return -level, -open_now[root].found.exact, -weight, _place(root)

    explained = {effect: min(causes, key=_place) for effect, causes in parents.items() if causes}
    worst = {root: max((open_now[r].severity for r in covered[root]), key=SEVERITIES.index) for root in roots}
    return Folded(min(roots, key=rank) if roots else None, explained, worst)


def _place(rule: str) -> int:
    """Place by priority; a rule of the user's own comes last."""
    return _PLACE.get(rule, len(PRIORITY))


def _parents(effect: str, open_now: Mapping[str, Standing], at: Context) -> list[str]:
    window = max(20, at.step // 5)
    since = open_now[effect].since
    return [
        cause
        for cause, standing in open_now.items()
        if effect in EDGES.get(cause, ())
        and standing.severity != "info"
        and standing.since <= since + window
        and EDGES[cause][effect](at)
    ]


def _reached(root: str, parents: Mapping[str, list[str]]) -> set[str]:
    """The root and everything that it explains, directly or through another."""
    tree = {root}
    while True:
        more = {effect for effect, causes in parents.items() if effect not in tree and tree.intersection(causes)}
        if not more:
            return tree
        tree |= more
