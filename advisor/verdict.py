"""One line for the whole run, at any step of it. It never says "healthy"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nnwatch.frame import SEVERITIES, Finding, Severity
from nnwatch.history import History, Track

EARLY = 20
"""Steps before which silence means nothing."""


@dataclass(frozen=True)
class Verdict:
    """``line`` for the screen; ``finding`` the primary one; ``findings`` the open ones, each root with all that it
    explains, primary first; ``state`` is the severity of the primary, or "early" or "clear" without one."""

    line: str
    state: Literal["early", "clear"] | Severity
    finding: Finding | None
    findings: list[tuple[Finding, list[Finding]]]


def verdict(history: History, step: int | None = None, track: Track | None = None) -> Verdict:
    """The verdict on a track, the main one by default, as it stood at ``step``; the newest for None."""
    track = track or history.main
    segment = track.segment.segment if track else 0
    now = step if step is not None else (track.last_step if track else 0)
    standing: dict[int, Finding] = {}
    for finding in history.finding_log:
        if finding.segment == segment and (step is None or finding.last_step <= step):
            standing[finding.id] = finding
    open_now = [finding for finding in standing.values() if finding.status == "open"]
    tree = _tree(open_now)
    primary = next((finding for finding in open_now if finding.primary), None)
    if primary is not None and primary.severity != "info":
        change = f": {primary.remedies[0].change}" if primary.remedies else ""
        line = f"{primary.severity.upper()} {primary.title}{change}  [{primary.what}]"
        return Verdict(line, primary.severity, primary, tree)
    if track is None and history.end is not None:
        return Verdict("nothing to judge: no backward pass was seen", "early", primary, tree)
    judged = [j for j in history.judgements if j.segment == segment and (step is None or j.step <= step)]
    if now < EARLY or not judged:
        ended = "; the run ended there" if history.end is not None and step is None else ""
        return Verdict(f"too early to tell (step {now:,}{ended})", "early", primary, tree)
    could, could_not = len(judged[-1].judged), len(judged[-1].abstained)
    line = f"nothing wrong found; {could} of {could + could_not} rules could judge"
    return Verdict(line, "clear", primary, tree)


def _tree(findings: list[Finding]) -> list[tuple[Finding, list[Finding]]]:
    """Each root with everything it explains, directly or through another finding."""
    by_id = {finding.id: finding for finding in findings}

    def root(finding: Finding) -> int:
        while finding.explained_by is not None and finding.explained_by in by_id:
            finding = by_id[finding.explained_by]
        return finding.id

    children: dict[int, list[Finding]] = {}
    for finding in sorted(findings, key=lambda f: f.first_step):
        children.setdefault(root(finding), []).append(finding)
    roots = sorted(children, key=lambda i: (not by_id[i].primary, -SEVERITIES.index(by_id[i].severity)))
    return [(by_id[i], [child for child in children[i] if child.id != i]) for i in roots]
