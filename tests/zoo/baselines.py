"""The advisor beside the published rule sets, on the very same recordings, and what was published elsewhere."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path

from nnwatch.advisor.rule import all_rules

from .catalogue import Configuration, configurations
from .judge import load
from .published import NOT_EVALUATED, SETS, fired
from .record import session
from .score import Scored
from .table import WIDTH, rate


def _fired(one: tuple[str, Path]) -> tuple[str, dict[str, list[str]]]:
    return one[0], fired(load(one[1]))


def report(scored: Scored, workers: int) -> Iterable[str]:
    """The advisor, each rule set on the same runs, and what was published elsewhere."""
    known = configurations()
    faulty = [row.configuration for row in scored.faulty]
    healthy = [known[outcome.id] for outcome in scored.healthy]
    twins = [known[one.twin or ""] for one in faulty]
    jobs = [(one.id, session(one)) for one in dict.fromkeys([*faulty, *healthy, *twins])]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        said = dict(pool.imap_unordered(_fired, jobs, chunksize=4))
    rules = {outcome.id: set(outcome.rules) for outcome in [*scored.healthy, *(row.outcome for row in scored.faulty)]}
    yield "\nnnwatch, its findings at warn or worse"
    hits = {row.configuration.id for row in scored.faulty if row.detected}
    new = {one.id: rules[one.id] - rules[one.twin or ""] for one in faulty}
    yield from _rows(faulty, healthy, hits, new, rules, len(all_rules()))
    for name, published in SETS.items():
        causes = {rule.name: set(rule.causes) for rule in published}
        fires = {id: set(sets[name]) for id, sets in said.items()}
        new = {one.id: fires[one.id] - fires[one.twin or ""] for one in faulty}
        hits = {one.id for one in faulty if any(causes[rule] & set(one.causes) for rule in new[one.id])}
        yield f"\n{name}"
        yield from _rows(faulty, healthy, hits, new, fires, len(published))
        yield f"  not evaluated: {NOT_EVALUATED[name]}"
    yield PUBLISHED


def _rows(
    faulty: Sequence[Configuration],
    healthy: Sequence[Configuration],
    hits: Set[str],
    new: Mapping[str, Set[str]],
    fires: Mapping[str, Set[str]],
    count: int,
) -> Iterable[str]:
    """Of one rule set: where it is right, where it says what it does not say of the twin, and what healthy runs get."""
    yield rate("  a right cause, not on the clean twin", faulty, lambda one: one.id in hits, _family)
    yield rate("  anything that the twin has not", faulty, lambda one: bool(new[one.id]), _family)
    yield rate("  healthy with any rule firing", healthy, lambda one: bool(fires[one.id]), _family)
    mean = sum(len(fires[one.id]) for one in healthy) / max(len(healthy), 1)
    yield f"  {'rules that fire on a healthy run':{WIDTH - 2}} {mean:.2f} of {count}"


def _family(one: Configuration) -> str:
    return one.family


PUBLISHED = """
Published by others, on their own subjects and conditions (not comparable with the rows above)
  AutoTrainer (2021)      detects 316/316 problems of 262 faulty runs of 5 kinds; 0/233 normal runs; repairs 309/316.
                          On others' subjects (DeepFD's artifact): 12/52 detected, 10/52 diagnosed
  DeepLocalize (2021)     34/40 of its own faults, 21/40 located; counted again on AutoTrainer's normal models 133/186
  DeepDiagnosis (2022)    46/52 detected, 34/52 located; counted again on AutoTrainer's normal models 68/188
  DeepFD (2022)           47/52 detected, 27/52 diagnosed; learned, needs the finished run; one healthy subject
  UMLAUT (2021)           50/52 detected on DeepFD's subjects (one message on nearly all), 14/52 diagnosed
  TrainCheck (2025)       18/20 silent errors within an iteration; 1.5 to 31 % of its invariants are false, by how many
                          reference runs they are learned from
"""
