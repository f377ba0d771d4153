"""What a session says about its run, for a program (``report --json``) and for a person."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import stopping
from .autopsies import autopsies
from .card import Card
from .frame import Finding, Status
from .history import History, Track
from .narrate import ending, remedy
from .printable import printable

SCHEMA = 1
_SILENT = 60.0
"""Seconds without a Commit after which a run that cannot be looked at is called lost."""


def finding_json(finding: Finding, rules: Mapping[int, str]) -> dict[str, Any]:
    """One finding; ``rules`` names the rule of each finding id, for ``explained_by``."""
    evidence: dict[str, Any] = {}
    for part in finding.evidence:
        key = part.metric if part.metric not in evidence else f"{part.metric}#{len(evidence) + 1}"
        evidence[key] = {
            "value": _number(part.value),
            "reference": _number(part.reference),
            "meaning": part.meaning,
            "first_step": part.first_step,
            "last_step": part.last_step,
            "layer": part.layer,
        }
    return {
        "rule": finding.rule,
        "title": finding.title,
        "kind": finding.kind,
        "severity": finding.severity,
        "status": finding.status,
        "first_step": finding.first_step,
        "last_step": finding.last_step,
        "first_time": finding.first_time,
        "last_time": finding.last_time,
        "segment": finding.segment,
        "rank": finding.rank,
        "layer": finding.layer,
        "primary": finding.primary,
        "explained_by": None if finding.explained_by is None else rules.get(finding.explained_by),
        "what": finding.what,
        "why": finding.why,
        "evidence": evidence,
        "remedies": [{"title": r.title, "change": r.change, "expect": r.expect} for r in finding.remedies],
        "otherwise": finding.otherwise,
        "confidence": finding.confidence,
    }


def _number(value: float | None) -> float | str | None:
    """JSON has no NaN and no infinity: they are written as words."""
    return value if value is None or np.isfinite(value) else str(float(value))


class Summary:
    """One run: its card and what its session said so far."""

    def __init__(self, history: History, card: Card) -> None:
        self.history = history
        self.card = card

    @property
    def status(self) -> Status:
        if self.history.end is not None:
            return self.history.end.status
        state = self.card.state
        if state in ("elsewhere", "recorded"):
            return "running" if time.time() - self.history.last_time < _SILENT else "lost"
        return "running" if state == "running" else "lost"

    @property
    def main(self) -> Track | None:
        return self.history.main

    def last(self, metric: str) -> float | None:
        """Newest value of a metric of the main track; of a whole evaluation for ``loss.val`` and ``accuracy.val``."""
        if self.main is None:
            return None
        if metric in ("loss.val", "accuracy.val"):
            evaluations = self.main.evaluations()
            values = evaluations.loss if metric == "loss.val" else evaluations.accuracy
            return float(values[-1]) if len(values) and not np.isnan(values[-1]) else None
        series = self.main.get(metric)
        return float(series.scalar[-1]) if series is not None and len(series) else None

    @property
    def primary(self) -> Finding | None:
        return next((f for f in self.history.findings.values() if f.primary and f.status == "open"), None)

    def latest(self) -> dict[str, Any]:
        """For the card: what a list of runs shows."""
        loss, primary = self.last("loss.train"), self.primary
        return {
            "time": self.history.last_time,
            "step": self.history.last_step,
            "loss": _number(loss),
            "finding": primary.rule if primary else None,
            "severity": primary.severity if primary else None,
        }

    def json(self) -> dict[str, Any]:
        """The whole report; README.md in this folder lists the keys."""
        history, run, end = self.history, self.history.run, self.history.end
        facts = history.facts_of(self.main) if self.main is not None else {}
        judgement = history.judgement
        return {
            "schema": SCHEMA,
            "session": self.card.session,
            "run": {
                "name": run.name if run else self.card.name,
                "host": run.host if run else self.card.host,
                "command": run.command if run else self.card.command,
                "python": run.python if run else self.card.python,
                "status": self.status,
                "exit": end.exit if end else None,
                "signal": end.signal if end else None,
                "first_time": run.started if run else self.card.started,
                "last_time": history.last_time,
                "last_step": history.last_step,
                "planned_steps": facts.get("planned_steps"),
                "segments": len({segment for segment, _ in history.tracks}),
                "ranks": len({rank for _, rank in history.tracks}),
                "continues": self.card.continues or None,
                "overhead": self.last("watch.cost"),
                "rules_judged": sorted(judgement.judged) if judgement else [],
                "rules_abstained": judgement.abstained if judgement else {},
            },
            "autopsy": [autopsy.json() for autopsy in autopsies(history, Path(self.card.session).parent)],
            "findings": [finding_json(f, self._rules()) for f in self.in_order()],
        }

    def _rules(self) -> dict[int, str]:
        return {finding.id: finding.rule for finding in self.history.findings.values()}

    def in_order(self) -> list[Finding]:
        """Primary first, open before resolved, then as they came."""
        found = self.history.findings.values()
        return sorted(found, key=lambda f: (not f.primary, f.status == "resolved", f.first_step, f.id))


def numbers(summary: Summary) -> str:
    """The last losses and accuracies, in one line; empty if there are none."""
    named = (("loss", "loss.train"), ("accuracy", "accuracy.train"), ("val loss", "loss.val"))
    parts = [f"{name} {value:.4g}" for name, metric in named if (value := summary.last(metric)) is not None]
    if (accuracy := summary.last("accuracy.val")) is not None:
        parts.append(f"val accuracy {accuracy:.1%}")
    return ", ".join(parts)


def headline(summary: Summary) -> list[str]:
    """A few lines for the moment one leaves a run: status, last loss, the primary finding with its remedy."""
    from nnwatch.advisor.verdict import verdict

    history, end = summary.history, summary.history.end
    how = ending(end) if end is not None else summary.status
    if how == "lost" and (why := _gone(summary)):
        how += f" ({why})"
    seconds = history.last_time - (history.run.started if history.run else summary.card.started)
    last = numbers(summary)
    at = f"step {history.last_step:,}" + (f" after {seconds:,.1f} s" if seconds > 0 else "")
    lines = [f"{summary.card.name} {how}, {at}{'; ' * bool(last)}{last}"]
    if history.tracks or summary.primary is not None:
        lines.append(verdict(history).line)
    if summary.primary is not None and summary.primary.severity != "info":
        lines += [f"  do: {remedy(advice)}" for advice in summary.primary.remedies[:1]]
    return [printable(line) for line in lines]


def _gone(summary: Summary) -> str:
    """Why a run was lost, as far as its scheduler said."""
    asked = [str(event.data.get("text")) for event in summary.history.events if event.name == "stopping"]
    return asked[-1] if asked else stopping.gone(summary.history.last_time, summary.card.until)


def text(summary: Summary, *, reasons: bool = True) -> str:
    """The report as a person reads it in a terminal; ``reasons``: with those of the rules that could not judge."""
    from nnwatch.tui.draw.text import of_step
    from nnwatch.tui.state import last_words

    history, card = summary.history, summary.card
    lines = headline(summary)
    cost = summary.last("watch.cost")
    if words := card.command or (history.run.command if history.run else []):
        lines.append(f"  command  {' '.join(words)}")
    lines.append(f"  session  {card.session}")
    if cost is not None:
        budget = history.facts_of(summary.main).get("budget") if summary.main is not None else None
        lines.append(f"  watching cost {cost:.2%} {of_step(cost, budget)}")
    for finding in summary.in_order():
        if finding.explained_by is None:
            lines += ["", *_paragraph(summary, finding)]
    for autopsy in autopsies(history, Path(card.session).parent):
        lines += ["", *autopsy.text()]
    judgement = history.judgement
    if reasons and judgement is not None and judgement.abstained:
        lines += ["", f"{len(judgement.judged)} rules judged, {len(judgement.abstained)} could not:"]
        lines += [f"  {why}: {', '.join(rules)}" for why, rules in _by_reason(judgement.abstained)]
    lines += ["", *(f"note: {e.data.get('text')}" for e in history.events if e.name == "notice")]
    lines += {e.data.get("node"): str(e.data.get("text")) for e in history.events if e.name == "node"}.values()
    if history.end is not None and history.end.status != "finished" and (words := last_words(history, 12)):
        lines += ["", "last lines:", *(f"  {word}" for word in words)]
    return printable("\n".join(lines)).rstrip() + "\n"


def _by_reason(abstained: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """The rules that abstained, by why; the reason of most comes first."""
    found: dict[str, list[str]] = {}
    for rule, why in sorted(abstained.items()):
        found.setdefault(why, []).append(rule)
    return sorted(found.items(), key=lambda each: (-len(each[1]), each[0]))


def _paragraph(summary: Summary, finding: Finding) -> list[str]:
    until = f"step {finding.first_step:,} to {finding.last_step:,}"
    lines = [f"{finding.severity.upper()} {finding.rule} ({finding.status}, {until}): {finding.title}"]
    lines.append(f"  what     {finding.what}")
    if finding.why:
        lines.append(f"  because  {finding.why}")
    lines += [f"  do {i}     {remedy(advice)}" for i, advice in enumerate(finding.remedies, 1)]
    if finding.otherwise:
        lines.append(f"  if not   {finding.otherwise}")
    for child in summary.history.findings.values():
        if child.explained_by == finding.id:
            lines.append(f"  explains {child.severity} {child.rule}: {child.what}")
    return lines
