"""What one rule thinks of one track: the votes of the last boundaries, and the severity that these make stand."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from nnwatch.frame import SEVERITIES, Finding, Severity

from .cause import Standing
from .context import Context
from .finding import Found, lower
from .rule import Rule

QUIET = -1
LEVELS: dict[str | None, int] = {None: QUIET, **{severity: level for level, severity in enumerate(SEVERITIES)}}
LOUD = LEVELS["info"]
"""A finding is open, for the rules, above this level."""


class Headline(NamedTuple):
    """What of an open finding is news when it changes. Numbers move at every boundary: they are none."""

    title: str
    severity: Severity
    primary: bool
    explained_by: int | None
    remedies: tuple[str, ...]


class Opinion:
    """What one rule thinks of one track, and what was last said about it."""

    def __init__(self, rule: Rule, number: int) -> None:
        self.rule = rule
        self.id = number
        self.votes: deque[int] = deque(maxlen=rule.votes[1])
        self.cleared = 0
        """How often it was found to be no longer so."""
        self.level = QUIET
        """Index of the severity that stands in SEVERITIES."""
        self.found: Found | None = None
        self.since = 0
        self.headline: Headline | None = None
        """What was told last; None while the finding is not open."""
        self.said: Finding | None = None

    @property
    def standing(self) -> Standing | None:
        """What is open now; None for nothing."""
        if self.level == QUIET or self.found is None:
            return None
        return Standing(self.found, SEVERITIES[self.level], self.since)

    def vote(self, found: Found | None, severity: Severity | None, final: bool) -> None:
        """Count one boundary: the level is the k-th highest of the last n, so one odd window changes nothing. Each
        time it was cleared it takes twice as many of twice as many: what comes and goes is soon said no more."""
        level = LEVELS[severity]
        self.votes.append(level)
        if level == self.level == QUIET and max(self.votes) == QUIET:
            return
        needed = self.rule.votes[0] << self.cleared
        ranked = sorted(self.votes, reverse=True)
        before, self.level = self.level, ranked[needed - 1] if len(ranked) >= needed else QUIET
        if found is not None and (found.exact or (final and self.rule.slow)):
            self.level = level
        if before > QUIET == self.level:
            self.cleared += 1
            self.votes = deque(self.votes, maxlen=self.rule.votes[1] << self.cleared)
        if found is not None:
            self.found = found
            self.since = min(self.since, found.first_step) if before > QUIET else found.first_step


def capped(rule: Rule, found: Found, at: Context) -> Severity:
    """The severity that the number of keys and the context allow."""
    severity = found.severity
    if found.exact or rule.kind != "statistical":
        return severity
    unplanned = rule.slow and at.planned is None and at.end is None
    if len(found.keys) < 2 or unplanned or (rule.goal and at.no_goal):
        severity = lower(severity, "watch")
    return severity
