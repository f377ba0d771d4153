"""The table of the score: what is reported of a half, line by line."""

from __future__ import annotations

import statistics as stats
from collections.abc import Iterable, Sequence

from nnwatch.advisor.rule import all_rules

from .causes import GROUPS, group
from .judge import Outcome
from .score import LATE, SUDDEN, Row, Scored
from .table import WIDTH, average, rate, reached


def family_of(row: Row) -> str:
    return row.configuration.family


def outcome_family(outcome: Outcome) -> str:
    return outcome.id.partition("/")[0]


def summary(scored: Scored) -> Iterable[str]:
    faulty, healthy = scored.faulty, scored.healthy
    yield rate("detected", faulty, lambda row: row.detected, family_of, ">= 90")
    yield rate("first diagnosis right", faulty, lambda row: row.first, family_of, ">= 80")
    yield rate("symptom only", faulty, lambda row: row.symptom, family_of)
    yield rate("nothing at warn or worse", faulty, lambda row: not row.outcome.warnings, family_of)
    yield rate("healthy with a warn or worse", healthy, lambda one: bool(one.warnings), outcome_family, "<= 2")
    yield rate(
        "harmless with a warn or worse (not scored)", scored.harmless, lambda o: bool(o.warnings), outcome_family
    )
    yield average("wrong warnings per faulty run", faulty, lambda row: len(row.wrong), family_of)
    yield average("watches per faulty run", faulty, lambda row: len(row.outcome.watches), family_of)
    yield average("watches per healthy run", healthy, lambda one: len(one.watches), outcome_family)
    yield from _leads(faulty)
    detected = sum(row.detected for row in faulty) / max(len(faulty), 1)
    loud = 19 * sum(bool(one.warnings) for one in healthy) / max(len(healthy), 1)
    name = "precision where one run in twenty is faulty"
    yield f"{name:{WIDTH}} {100 * detected / max(detected + loud, 1e-9):.0f} %"


def _leads(faulty: Sequence[Row]) -> Iterable[str]:
    """Of bad data nothing can warn: those runs stand apart."""
    late = [row for row in faulty if row.lead is not None]
    sudden = [row for row in late if SUDDEN & set(row.configuration.causes)]
    yield _lead(f"steps of warning before a NaN at step >= {LATE}", [row for row in late if row not in sudden], ">= 5")
    yield _lead("  where the data or an operation is the cause", sudden)


def _lead(name: str, rows: Sequence[Row], reach: str = "") -> str:
    leads = sorted(row.lead or 0 for row in rows)
    if not leads:
        return f"{name:{WIDTH}} none"
    median = stats.median(leads)
    return f"{name:{WIDTH}} median {median:g} of {leads}{reached(median, reach)}"


def report(scored: Scored) -> Iterable[str]:
    """The whole table, line by line."""
    yield (
        f"{len(scored.faulty)} faulty and {len(scored.healthy)} healthy configurations; "
        f"{len(scored.harmless)} harmless and {scored.weak} weak ones are not scored\n"
    )
    yield from summary(scored)
    yield from details(scored.faulty, scored.healthy)
    yield from _not_tested(scored)


def _not_tested(scored: Scored) -> Iterable[str]:
    """What these recordings say nothing of."""
    outcomes = [row.outcome for row in scored.faulty] + scored.healthy
    causes = {cause for row in scored.faulty for cause in row.configuration.causes}
    silent = set.intersection(*(set(outcome.abstained) for outcome in outcomes)) if outcomes else set()
    yield f"\nNot recorded: {', '.join(scored.missing) or 'none'}"
    yield f"Rules that abstain on every recording: {', '.join(sorted(silent)) or 'none'}"
    yield f"Causes that no run here has: {', '.join(sorted({rule.id for rule in all_rules()} - causes))}"


def details(faulty: Sequence[Row], healthy: Sequence[Outcome]) -> Iterable[str]:
    yield "\nBy group of causes: detected, first diagnosis right"
    for name in GROUPS:
        those = [row for row in faulty if group(row.configuration.causes[0]) == name]
        if those:
            yield rate(f"  {name}, detected", those, lambda row: row.detected, family_of)
            yield rate(f"  {name}, first", those, lambda row: row.first, family_of)
    yield "\nBy cause: detected, first diagnosis right, runs"
    for cause in sorted({row.configuration.causes[0] for row in faulty}):
        those = [row for row in faulty if row.configuration.causes[0] == cause]
        yield f"  {cause:30} {sum(row.detected for row in those):3} {sum(row.first for row in those):3} of {len(those)}"
    yield "\nBy family: detected, first diagnosis right, faulty; warned of, healthy"
    for family in sorted({family_of(row) for row in faulty} | {outcome_family(outcome) for outcome in healthy}):
        those = [row for row in faulty if family_of(row) == family]
        quiet = [outcome for outcome in healthy if outcome_family(outcome) == family]
        hits, first = sum(row.detected for row in those), sum(row.first for row in those)
        loud = sum(bool(outcome.warnings) for outcome in quiet)
        yield f"  {family:14} {hits:3} {first:3} of {len(those):3}   {loud:3} of {len(quiet)}"
    yield "\nHealthy configurations with a warning"
    for outcome in healthy:
        if outcome.warnings:
            yield f"  {outcome.id:48} {_said(outcome)}"
    yield "\nFaulty configurations, what was said"
    yield "(+ first right, o detected, s symptom only, = right but also on the clean twin, - missed)"
    for row in faulty:
        yield f"{_mark(row)} {row.configuration.id:58} [{' '.join(row.configuration.causes)}]  {_said(row.outcome)}"


def _mark(row: Row) -> str:
    marks = (("+", row.first), ("o", row.detected), ("s", row.symptom), ("=", row.only_as_on_twin))
    return next((mark for mark, holds in marks if holds), "-")


def _said(outcome: Outcome) -> str:
    said = (
        f"{'*' if s.primary else ''}{s.rule} {s.worst} {s.step}{'' if s.open else ' resolved'}"
        for s in outcome.warnings
    )
    return ", ".join(said) or "nothing" + (f" (watch: {', '.join(outcome.watches)})" if outcome.watches else "")
