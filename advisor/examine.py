"""All checks on one session: a verdict each, and the one thing to change first."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from nnwatch.frame import SEVERITIES, Evidence, Finding, Frame, Judgement, Remedy, Severity
from nnwatch.history import History
from nnwatch.trial import EVENT

from .check import RECIPE, Check, State, Verdict, all_checks
from .finding import Abstain
from .trials import RANK, Trials

FIRST_ID = 1_000_000
"""Findings of checks are counted from here, those of rules from 1."""


class Answer(NamedTuple):
    """What one check said. ``because`` is the check whose failure explains this one's."""

    check: Check
    verdict: Verdict
    because: str | None = None


class Examination(NamedTuple):
    """The answers in the order of the recipe, the checks that the script has nothing for, and what to change first."""

    answers: tuple[Answer, ...]
    beside: tuple[str, ...]
    first: Answer | None

    @property
    def worst(self) -> State:
        return max((answer.verdict.state for answer in self.answers), key=RANK.index, default="not possible")


def is_check(history: History) -> bool:
    """The session is of ``nnwatch check``."""
    return any(event.name == EVENT for event in history.events)


def examine(history: History, checks: Sequence[Check] | None = None) -> Examination:
    """Ask every check. A check that fails itself is one that was not possible."""
    checks = all_checks() if checks is None else checks
    lowest = min(history.tracks, default=None)
    if lowest is None:
        nothing = Verdict("not possible", "the script trained nothing: no backward pass was seen")
        return Examination(tuple(Answer(check, nothing) for check in checks), (), None)
    at = Trials(history, history.tracks[lowest])
    said = {check.id: _ask(check, at) for check in checks}
    known = {check.id: verdict for check in checks if (verdict := said[check.id]) is not None}
    bad = {name for name, verdict in known.items() if verdict.state in ("warn", "error")}
    answers = tuple(
        Answer(check, known[check.id], _cause(check, bad) if check.id in bad else None)
        for check in checks
        if check.id in known
    )
    return Examination(answers, tuple(name for name, verdict in said.items() if verdict is None), _first(answers))


def _ask(check: Check, at: Trials) -> Verdict | None:
    try:
        return check.judge(at, check.thresholds)
    except Abstain as reason:
        return Verdict("not possible", str(reason))
    except Exception as error:  # one broken check must not silence the others
        return Verdict("not possible", f"the check itself failed: {type(error).__name__}: {error}")


def _cause(check: Check, bad: set[str]) -> str | None:
    return next((name for name in check.follows if name in bad), None)


def _first(answers: Sequence[Answer]) -> Answer | None:
    """The cause of the worst answer, the earliest in the recipe of equally bad ones; None where nothing is wrong."""
    by_id = {answer.check.id: answer for answer in answers}
    wrong = [answer for answer in answers if answer.verdict.state in ("warn", "error")]
    if not wrong:
        return None
    worst = max(wrong, key=lambda answer: RANK.index(answer.verdict.state))
    while worst.because is not None:
        worst = by_id[worst.because]
    return worst


class Examiner:
    """Judges the session of a check in the advisor's place: once, when it has ended."""

    def judge(self, history: History) -> list[Frame]:
        """A finding for each answer that is not good, and a judgement that tells what could not be asked."""
        said = any(finding.id >= FIRST_ID for finding in history.findings.values())
        return [] if history.end is None or said else frames(history)


def frames(history: History) -> list[Frame]:
    """The examination as a session keeps it: about the script and not about a step, so it stands from the first."""
    examined = examine(history)
    lowest = min(history.tracks, default=(0, 0))
    made: list[Frame] = []
    abstained = {a.check.id: a.verdict.what for a in examined.answers if a.verdict.state == "not possible"}
    for answer in examined.answers:
        if answer.verdict.state in ("info", "warn", "error"):
            made.append(_finding(answer, examined, history, lowest))
    judged = [answer.check.id for answer in examined.answers if answer.check.id not in abstained]
    return [*made, Judgement(0, *lowest, judged, abstained)]


def _finding(answer: Answer, examined: Examination, history: History, track: tuple[int, int]) -> Finding:
    check, said = answer.check, answer.verdict
    severity: Severity = SEVERITIES[SEVERITIES.index(said.state)]
    places = _places()
    return Finding(
        id=FIRST_ID + places[check.id],
        rule=check.id,
        title=check.title,
        kind="fact",
        severity=severity,
        status="open",
        first_step=0,
        last_step=0,
        first_time=history.run.started if history.run else history.last_time,
        last_time=history.last_time,
        what=said.what,
        why=f"check of {check.stage}",
        segment=track[0],
        rank=track[1],
        primary=answer == examined.first,
        explained_by=None if answer.because is None else FIRST_ID + places[answer.because],
        evidence=[] if said.value is None else [Evidence(check.id, said.value, said.reference, check.title)],
        remedies=[Remedy(check.title, said.change, said.expect)] if said.change else [],
        confidence=1.0,
    )


@cache
def _places() -> dict[str, int]:
    return {name: place for place, name in enumerate(name for ids in RECIPE.values() for name in ids)}
