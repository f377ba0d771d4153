"""How good the advisor is: recordings judged again by the rules as they are now, and counted.

*Detected*: a right cause is among the first three findings at *warn* or worse, and the clean twin does not get it.
*First right*: the primary diagnosis is a right cause. *Symptom only*: every warning names what can be seen, none a
cause. *Wrong*: a warning that names a cause which is not right, is not folded under a right one, and is no symptom.
"""

from __future__ import annotations

from typing import NamedTuple

from .catalogue import Configuration, Half, configurations
from .causes import SYMPTOMS
from .harm import Label, labels
from .judge import Outcome, judge_all
from .record import recorded

LATE = 20
SUDDEN = {"nan-input", "nan-loss-fn", "nan-backward"}
"""Causes of a NaN that come without a sign."""


class Row(NamedTuple):
    """One faulty run."""

    configuration: Configuration
    outcome: Outcome
    detected: bool
    first: bool
    symptom: bool
    wrong: tuple[str, ...]
    lead: int | None
    """Steps from the first warning of a right cause or a symptom to the first NaN, for one at step 20 or later."""
    only_as_on_twin: bool
    """The clean twin gets the right cause as well: not detected."""


class Scored(NamedTuple):
    """A half of the zoo, judged. What is weak (or made from what is) is counted, ``missing`` are ids not recorded."""

    faulty: list[Row]
    healthy: list[Outcome]
    harmless: list[Outcome]
    weak: int
    missing: list[str]


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
    if outcome.nonfinite is not None and outcome.nonfinite >= LATE:
        steps = [said.step for said in outcome.warnings if said.rule in causes | SYMPTOMS]
        lead = max(0, outcome.nonfinite - min(steps, default=outcome.nonfinite))
    return Row(one, outcome, detected, first and detected, symptom, wrong, lead, bool(right) and not detected)


def judged(half: Half, workers: int) -> Scored:
    """Judge every recording of a half again."""
    label = labels()
    chosen = [one for one in configurations().values() if one.half == half and one.id in label]
    scored = [one for one in chosen if label[one.id] != "weak"]
    outcomes = judge_all((one for one in scored if recorded(one)), workers)

    def those(name: Label) -> list[Configuration]:
        return [one for one in scored if label[one.id] == name and one.id in outcomes]

    return Scored(
        [faulty_row(one, outcomes[one.id], outcomes[one.twin]) for one in those("faulty") if one.twin in outcomes],
        [outcomes[one.id] for one in those("healthy")],
        [outcomes[one.id] for one in those("harmless")],
        len(chosen) - len(scored),
        [one.id for one in scored if not recorded(one)],
    )
