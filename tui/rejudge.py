"""The same run, judged again at another threshold: what would have been said, and when."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from nnwatch.advisor.engine import Advisor
from nnwatch.advisor.rule import Rule, all_rules
from nnwatch.advisor.settings import Settings, SettingsError
from nnwatch.history import History


def settings_of(history: History) -> Settings:
    """What the run was judged by: the user's settings are among its facts."""
    table: dict[str, Any] = {}
    for event in history.fact_log:
        table = event.data.get("settings", table)
    try:
        return Settings.of(table)
    except SettingsError:  # of another version
        return Settings()


def rules_of(history: History) -> dict[str, Rule]:
    """The rules of this installation with the thresholds of the run, by id; rules of the user's own are not here."""
    settings = settings_of(history)
    known = {rule.id: rule for rule in all_rules()}
    mine = {name: values for name, values in settings.thresholds.items() if name in known}
    return {
        name: replace(rule, thresholds={**rule.thresholds, **mine.get(name, {})})
        for name, rule in known.items()
        if name not in settings.disabled
    }


def changed(history: History, rule: str, text: str) -> tuple[str, float]:
    """Understand ``peak = 0.1``, or a number alone where the rule has one threshold. Raises ValueError with a line."""
    there = rules_of(history)[rule].thresholds
    name, equals, value = (part.strip() for part in text.rpartition("="))
    if not equals and len(there) == 1:
        name = next(iter(there))
    if name not in there:
        raise ValueError(f"{rule} has {', '.join(f'{key} = {v:g}' for key, v in there.items()) or 'no threshold'}")
    try:
        return name, float(value)
    except ValueError:
        raise ValueError(f"{value!r} is no number") from None


def rejudged(history: History, rule: str, name: str, value: float) -> History:
    """The history up to now with the findings of a judgement in which one threshold is another."""
    rules = rules_of(history)
    rules[rule] = replace(rules[rule], thresholds={**rules[rule].thresholds, name: value})
    again = copy.copy(history)
    again.tracks = {key: copy.copy(track) for key, track in history.tracks.items()}
    again.findings, again.finding_log, again.judgements, again.judgement = {}, [], [], None
    for frame in Advisor(tuple(rules.values()), settings_of(history).targets).judge(again):
        again.apply(frame)
    return again
