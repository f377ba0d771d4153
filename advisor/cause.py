"""Which finding explains which: one primary diagnosis, its consequences folded under it.

An edge says that the cause, once there, makes the effect. It holds when the cause began no later than the
effect (give or take a window), is at least *watch*, and the edge's own test of the mechanism holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nnwatch.frame import SEVERITIES, Severity

from .context import Context
from .finding import Abstain, Found

PRIORITY = (
    "crashed",
    "nan-input",
    "nan-loss-fn",
    "nan-backward",
    "frozen-params",
    "lr-too-high",
    "divergence",
    "vanishing-gradient",
    "dead-relu",
    "lr-too-low",
    "lr-needs-decay",
    "not-learning",
    "overfitting",
)
"""Who is primary among equals: exact causes first, then the optimisation, generalisation last."""

Test = Callable[[Context], bool]


def _always(at: Context) -> bool:
    return True


def _large_updates(at: Context) -> bool:
    """The first updates were large enough to throw units out of their range."""
    try:
        return at.first_peak[0] > 0.1
    except Abstain:
        return True  # the rule that found the rate too high had another reason to


def _cut(at: Context) -> bool:
    """A layer is so dead that hardly any gradient passes it."""
    return at.dead[0] >= 0.9


def _complained_of_nan(at: Context) -> bool:
    """The exception that ended the script speaks of a number that is none."""
    text = " ".join(str(e.data.get("message", "")) for e in at.events("exception")).lower()
    return any(word in text for word in ("nan", "inf", "finite"))


EDGES: Mapping[str, Mapping[str, Test]] = {
    "lr-too-high": {
        "divergence": _always,
        "nan-loss-fn": _always,
        "nan-backward": _always,
        "dead-relu": _large_updates,
        "vanishing-gradient": _large_updates,
        "frozen-params": _large_updates,
        "not-learning": _always,
        "lr-needs-decay": _always,
        "overfitting": _always,
        "crashed": _complained_of_nan,
    },
    "divergence": {
        "dead-relu": _always,
        "overfitting": _always,
        "not-learning": _always,
        "crashed": _complained_of_nan,
    },
    "nan-input": {"not-learning": _always, "divergence": _always, "crashed": _complained_of_nan},
    "nan-loss-fn": {"not-learning": _always, "crashed": _complained_of_nan},
    "nan-backward": {"not-learning": _always, "crashed": _complained_of_nan},
    "dead-relu": {
        "vanishing-gradient": _cut,
        "frozen-params": _cut,
        "not-learning": _always,
        "lr-needs-decay": _always,
    },
    "frozen-params": {"vanishing-gradient": _always, "not-learning": _always, "lr-too-low": _always},
    "vanishing-gradient": {"not-learning": _always, "lr-too-low": _always, "frozen-params": _always},
    "lr-too-low": {"not-learning": _always, "lr-needs-decay": _always},
}


def _rank(item: tuple[str, tuple[Found, Severity, int]]) -> tuple[int, int]:
    rule, (_, severity, _) = item
    own = len(PRIORITY)  # a rule of the user's comes after ours
    return -SEVERITIES.index(severity), PRIORITY.index(rule) if rule in PRIORITY else own


def fold(open_now: Mapping[str, tuple[Found, Severity, int]], at: Context) -> tuple[str | None, dict[str, str]]:
    """The primary rule (None when nothing is open) and, for each consequence, the rule that explains it.

    ``open_now`` maps a rule to what it found, the severity that stands, and the step it began.
    """
    window = max(20, at.step // 5)
    explained: dict[str, str] = {}
    for effect in open_now:
        for cause in sorted((c for c in EDGES if effect in EDGES[c] and c in open_now), key=PRIORITY.index):
            if explained.get(cause) == effect or open_now[cause][1] == "info":
                continue
            if open_now[cause][2] <= open_now[effect][2] + window and EDGES[cause][effect](at):
                explained[effect] = cause
                break
    roots = [item for item in open_now.items() if item[0] not in explained]
    return (min(roots, key=_rank)[0] if roots else None), explained
