"""What the advisor says of a recording: its findings in the order of the report."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnwatch.advisor.engine import Advisor
from nnwatch.frame import SEVERITIES, Finding, Judgement, Remedy
from nnwatch.history import History
from nnwatch.session import Reader

from .catalogue import Configuration
from .record import HOME, session

WARN = SEVERITIES.index("warn")


class Said(NamedTuple):
    """One finding of a run. ``worst`` is the highest severity it ever had, ``step`` when it first was *warn*."""

    rule: str
    worst: str
    step: int
    open: bool
    primary: bool
    explained_by: str | None
    what: str
    layer: str | None
    remedies: tuple[Remedy, ...]


class Outcome(NamedTuple):
    """``warnings`` are all findings that were *warn* or worse, as a report would rank them; ``watches`` the milder."""

    id: str
    steps: int
    nonfinite: int | None
    """First step whose loss was no number."""
    warnings: tuple[Said, ...]
    watches: tuple[str, ...]
    abstained: dict[str, str]

    @property
    def rules(self) -> list[str]:
        return [said.rule for said in self.warnings]


def load(path: Path) -> History:
    """The history of a recording without what was found while it was made."""
    history, reader = History(), Reader(path)
    for frame in reader.read():
        if not isinstance(frame, Finding | Judgement):
            history.apply(frame)
    reader.close()
    return history


def judge(id: str, history: History) -> Outcome:
    """Judge a history from its first step, as the monitor would have."""
    for frame in Advisor().judge(history):
        history.apply(frame)
    states: dict[int, list[Finding]] = {}
    for finding in history.finding_log:
        states.setdefault(finding.id, []).append(finding)
    all_said = [_said(log, history) for log in states.values()]
    warnings = [said for said in all_said if SEVERITIES.index(said.worst) >= WARN]
    warnings.sort(key=_rank)
    watches = tuple(said.rule for said in all_said if said.worst == "watch")
    abstained = dict(history.judgement.abstained) if history.judgement else {}
    return Outcome(id, history.last_step, _first_nonfinite(history), tuple(warnings), watches, abstained)


def _said(log: list[Finding], history: History) -> Said:
    last = log[-1]
    worst = max(log, key=lambda finding: SEVERITIES.index(finding.severity)).severity
    loud = [finding for finding in log if SEVERITIES.index(finding.severity) >= WARN] or log
    cause = history.findings.get(last.explained_by) if last.explained_by is not None else None
    return Said(
        last.rule,
        worst,
        loud[0].last_step,
        last.status == "open",
        last.primary and last.status == "open",
        cause.rule if cause else None,
        last.what,
        last.layer,
        tuple(last.remedies),
    )


def _rank(said: Said) -> tuple[bool, bool, bool, int, int]:
    """The primary diagnosis, other roots, consequences; what resolved itself comes last."""
    return not said.primary, not said.open, said.explained_by is not None, -SEVERITIES.index(said.worst), said.step


def _first_nonfinite(history: History) -> int | None:
    steps = [event.step for event in history.events if event.name == "nonfinite"]
    for track in history.tracks.values():
        loss = track.get("loss.train")
        if loss is not None:
            steps += [int(step) for step in loss.steps[~np.isfinite(loss.scalar)][:1]]
    return min(steps, default=None)


def _judge_one(one: tuple[str, Path]) -> Outcome:
    return judge(one[0], load(one[1]))


def judge_all(chosen: Iterable[Configuration], workers: int = 2, home: Path = HOME) -> dict[str, Outcome]:
    """The outcome of each recording, by id; those that are not recorded are left out."""
    jobs = [(one.id, path) for one in chosen if (path := session(one, home)).exists()]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        return {outcome.id: outcome for outcome in pool.imap_unordered(_judge_one, jobs, chunksize=4)}
