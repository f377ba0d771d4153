"""What a check may look at: a session as a rule sees it, the experiments of the check, and what the rules said."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from nnwatch.frame import End, Finding
from nnwatch.history import History, Track
from nnwatch.trial import EVENT

from .check import State, Verdict
from .context import Context
from .engine import Advisor
from .finding import Abstain

_STATES: Mapping[str, State] = {"info": "info", "watch": "info", "warn": "warn", "error": "error", "fatal": "error"}
NOT_MADE = "the experiment was not made"
RANK: tuple[State, ...] = ("pass", "not possible", "info", "warn", "error")
"""The states, the best first."""


class Trials(Context):
    """The script as it ran: the first segment of the lowest rank. Its end is none of the user's, who would have gone
    on: no rule takes it for the end of a training, unless the script raised."""

    def __init__(self, history: History, track: Track) -> None:
        super().__init__(history, track, track.last_step)

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        return self.history.facts_of(self.track)

    @cached_property
    def experiments(self) -> Mapping[str, Mapping[str, Any]]:
        """What each experiment told, by its name; the last word counts."""
        return {str(e.data.get("trial")): e.data for e in self.history.events if e.name == EVENT}

    def trial(self, name: str) -> Mapping[str, Any]:
        """What one experiment found. Raises Abstain with the reason, and the line that would make it possible."""
        told = self.experiments.get(name)
        if told is None:
            raise Abstain(f"{NOT_MADE}: {name}")
        if told.get("state") != "done":
            line = f"; with this line it is: {told['line']}" if told.get("line") else ""
            raise Abstain(f"{told.get('why') or 'it could not be made'}{line}")
        return told

    def sets(self) -> Mapping[str, Mapping[str, Any]]:
        """The data report by role: "train", "validation", "test"."""
        found: Mapping[str, Mapping[str, Any]] = self.trial("data").get("sets") or {}
        return found

    @cached_property
    def found(self) -> Mapping[str, Mapping[str, Any]]:
        """The same, empty where there is no data report."""
        return (self.experiments.get("data") or {}).get("sets") or {}

    def set(self, role: str) -> Mapping[str, Any]:
        """The report of one data set. Raises Abstain where it was not found."""
        sets = self.sets()
        if role not in sets:
            raise Abstain(f"no {'training' if role == 'train' else role} data were found")
        return sets[role]

    @cached_property
    def judged(self) -> History:
        """The same history as the rules judge it, whatever is written in it."""
        again = copy.copy(self.history)
        again.findings, again.finding_log, again.judgements, again.judgement = {}, [], [], None
        again.events = [event for event in again.events if event.name != EVENT]
        failed = any(event.name == "exception" for event in again.events)
        again.end = End(self.history.last_time, "failed", 1) if failed else None
        for frame in Advisor().judge(again):
            again.apply(frame)
        return again

    @cached_property
    def findings(self) -> Mapping[str, Finding]:
        """The open findings of the rules on this segment."""
        segment = self.track.segment.segment
        found = self.judged.findings.values()
        return {f.rule: f for f in found if f.status == "open" and f.segment == segment}

    def by_rules(self, rules: Sequence[str], good: str) -> Verdict:
        """The worst that some rules say, ``good`` if they find nothing. Raises Abstain where none could judge."""
        found = [finding for rule in rules if (finding := self.findings.get(rule)) is not None]
        if found:
            return max(map(verdict_of, found), key=lambda verdict: RANK.index(verdict.state))
        judgement = self.judged.judgement
        reasons = judgement.abstained if judgement is not None else dict.fromkeys(rules, "nothing was trained")
        if all(rule in reasons for rule in rules):
            raise Abstain(reasons[rules[0]])
        return Verdict("pass", good)


def verdict_of(finding: Finding) -> Verdict:
    """What a rule found, as a verdict."""
    number = finding.evidence[0] if finding.evidence else None
    remedy = finding.remedies[0] if finding.remedies else None
    return Verdict(
        _STATES[finding.severity],
        finding.what,
        number.value if number else None,
        number.reference if number else None,
        remedy.change if remedy else "",
        remedy.expect if remedy else "",
    )
