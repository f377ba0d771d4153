"""How good the advisor is: recordings judged again by the rules as they are now, and counted.

*Detected*: a right cause is among the first three findings at *warn* or worse, and the clean twin does not get it.
*First right*: the primary diagnosis is a right cause. *Symptom only*: every warning names what can be seen, none a
cause. *Wrong*: a warning that names a cause which is not right, is not folded under a right one, and is no symptom.
"""

from __future__ import annotations

import statistics as stats
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from .catalogue import Configuration, Half, configurations
from .causes import GROUPS, SYMPTOMS, group
from .harm import labels
from .judge import Outcome, judge_all
from .record import recorded
from .statistics import bootstrap, wilson


class Row(NamedTuple):
    """One faulty run."""

    configuration: Configuration
    outcome: Outcome
    detected: bool
    first: bool
    symptom: bool
    wrong: tuple[str, ...]
    lead: int | None
    """Steps from the first warning to the first NaN, for one at step 20 or later."""
    right_only_on_twin: bool


def faulty_row(one: Configuration, outcome: Outcome, twin: Outcome) -> Row:
    rules, causes, clean = outcome.rules, set(one.causes), set(twin.rules)
    right = [said for said in outcome.warnings[:3] if said.rule in causes]
    detected = any(said.rule not in clean for said in right)
    first = bool(outcome.warnings) and outcome.warnings[0].primary and outcome.warnings[0].rule in causes
    wrong = tuple(
        said.rule for said in outcome.warnings if said.rule not in causes | SYMPTOMS and said.explained_by not in causes
    )
    symptom = not detected and bool(rules) and set(rules) <= SYMPTOMS
    lead = None
    if outcome.nonfinite is not None and outcome.nonfinite >= 20:
        lead = max((outcome.nonfinite - said.step for said in outcome.warnings), default=0)
    return Row(one, outcome, detected, first and detected, symptom, wrong, lead, bool(right) and not detected)


def rows(half: Half, workers: int) -> tuple[list[Row], list[Outcome], list[str]]:
    """Faulty rows, healthy outcomes, and the ids that were not recorded."""
    label = labels()
    chosen = [
        one for one in configurations().values() if one.half == half and label.get(one.id) in ("healthy", "faulty")
    ]
    missing = [one.id for one in chosen if not recorded(one)]
    outcomes = judge_all((one for one in chosen if recorded(one)), workers)
    healthy = [outcomes[one.id] for one in chosen if not one.faulty and one.id in outcomes]
    faulty = [
        faulty_row(one, outcomes[one.id], outcomes[one.twin])
        for one in chosen
        if one.twin and one.id in outcomes and one.twin in outcomes
    ]
    return faulty, healthy, missing


def rate(name: str, items: Sequence[object], hit: Callable[..., bool], family: Callable[..., str]) -> str:
    """One line: k of n, Wilson's interval, and the interval over families."""
    hits = [bool(hit(item)) for item in items]
    if not hits:
        return f"{name:44} none"
    by_family: dict[str, list[float]] = {}
    for item, value in zip(items, hits, strict=True):
        by_family.setdefault(family(item), []).append(value)
    low, high = wilson(sum(hits), len(hits))
    drawn = bootstrap(by_family)
    return (
        f"{name:44} {sum(hits):4} of {len(hits):4}  {100 * sum(hits) / len(hits):5.1f} %"
        f"   {100 * low:3.0f} to {100 * high:3.0f} %   families {100 * drawn[0]:3.0f} to {100 * drawn[1]:3.0f} %"
    )


def _family(row: Row) -> str:
    return row.configuration.family


def _family_of(outcome: Outcome) -> str:
    return outcome.id.partition("/")[0]


def summary(faulty: Sequence[Row], healthy: Sequence[Outcome]) -> Iterable[str]:
    yield rate("detected", faulty, lambda row: row.detected, _family)
    yield rate("first diagnosis right", faulty, lambda row: row.first, _family)
    yield rate("symptom only", faulty, lambda row: row.symptom, _family)
    yield rate("nothing at warn or worse", faulty, lambda row: not row.outcome.warnings, _family)
    yield rate("healthy with a warn or worse", healthy, lambda outcome: bool(outcome.warnings), _family_of)
    everything = [row.outcome for row in faulty]
    if faulty:
        yield f"{'wrong warnings per faulty run':44} {stats.mean(len(row.wrong) for row in faulty):.3f}"
        yield f"{'watches per faulty run':44} {stats.mean(len(outcome.watches) for outcome in everything):.3f}"
    if healthy:
        yield f"{'watches per healthy run':44} {stats.mean(len(outcome.watches) for outcome in healthy):.3f}"
    leads = [row.lead for row in faulty if row.lead is not None]
    if leads:
        name = "steps of warning before a NaN at step >= 20"
        yield f"{name:44} median {stats.median(leads):.0f} of {len(leads)} runs, {sorted(leads)}"


def report(faulty: Sequence[Row], healthy: Sequence[Outcome], missing: Sequence[str]) -> Iterable[str]:
    """The whole table, line by line."""
    yield f"{len(faulty)} faulty and {len(healthy)} healthy configurations, {len(missing)} not recorded\n"
    yield from summary(faulty, healthy)
    yield from details(faulty, healthy)


def details(faulty: Sequence[Row], healthy: Sequence[Outcome]) -> Iterable[str]:
    yield "\nBy group of causes: detected, first diagnosis right"
    for name in GROUPS:
        those = [row for row in faulty if group(row.configuration.causes[0]) == name]
        if those:
            yield rate(f"  {name}, detected", those, lambda row: row.detected, _family)
            yield rate(f"  {name}, first", those, lambda row: row.first, _family)
    yield "\nBy cause: detected, first diagnosis right, runs"
    for cause in sorted({row.configuration.causes[0] for row in faulty}):
        those = [row for row in faulty if row.configuration.causes[0] == cause]
        yield f"  {cause:30} {sum(row.detected for row in those):3} {sum(row.first for row in those):3} of {len(those)}"
    yield "\nBy family: detected, first diagnosis right, faulty; warned of, healthy"
    for family in sorted({_family(row) for row in faulty} | {_family_of(outcome) for outcome in healthy}):
        those = [row for row in faulty if _family(row) == family]
        quiet = [outcome for outcome in healthy if _family_of(outcome) == family]
        hits, first = sum(row.detected for row in those), sum(row.first for row in those)
        loud = sum(bool(outcome.warnings) for outcome in quiet)
        yield f"  {family:14} {hits:3} {first:3} of {len(those):3}   {loud:3} of {len(quiet)}"
    yield "\nHealthy configurations with a warning"
    for outcome in healthy:
        if outcome.warnings:
            yield f"  {outcome.id:48} {_said(outcome)}"
    yield "\nFaulty configurations, what was said (+ first right, o detected, s symptom only, - missed)"
    for row in faulty:
        mark = "+" if row.first else "o" if row.detected else "s" if row.symptom else "-"
        yield f"{mark} {row.configuration.id:58} [{' '.join(row.configuration.causes)}]  {_said(row.outcome)}"


def _said(outcome: Outcome) -> str:
    said = (
        f"{'*' if s.primary else ''}{s.rule} {s.worst} {s.step}{'' if s.open else ' resolved'}"
        for s in outcome.warnings
    )
    return ", ".join(said) or "nothing" + (f" (watch: {', '.join(outcome.watches)})" if outcome.watches else "")
