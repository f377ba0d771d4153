"""What a user may change about the advice: thresholds, rules that are off, rules of one's own, targets.

[rules]
disable = ["class-imbalance"]
own = ["rules/late_warmup.py"]        # files that define RULE, relative to the settings file

[thresholds.lr-too-high]
peak = 0.1

[targets]
"accuracy.val" = 0.98
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nnwatch.metric import METRICS

from .rule import Rule


class SettingsError(ValueError):
    """What is wrong with the settings, in one line with what to do."""


@dataclass(frozen=True)
class Settings:
    """Checked as far as it can be without the rules; ``apply`` checks the rest."""

    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    disabled: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    """Files with a rule of the user's, as written."""
    targets: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Settings:
        """Read a parsed TOML table. Raises SettingsError."""
        _known("", table, ("rules", "thresholds", "targets"))
        rules = _table("rules", table.get("rules", {}))
        _known("rules.", rules, ("disable", "own"))
        thresholds = _table("thresholds", table.get("thresholds", {}))
        targets = _numbers("targets", table.get("targets", {}))
        for metric in targets:
            if metric not in METRICS and not metric.startswith("user."):
                raise SettingsError(f"targets: no metric is called {metric!r}{_near(metric, METRICS)}")
        return cls(
            {rule: _numbers(f"thresholds.{rule}", values) for rule, values in thresholds.items()},
            _words("rules.disable", rules.get("disable", [])),
            _words("rules.own", rules.get("own", [])),
            targets,
        )

    def apply(self, rules: Sequence[Rule]) -> tuple[Rule, ...]:
        """The rules as the user wants them. Raises SettingsError for a rule or threshold that there is not."""
        known = {rule.id: rule for rule in rules}
        for name in (*self.disabled, *self.thresholds):
            if name not in known:
                where = "rules.disable" if name in self.disabled else "thresholds"
                raise SettingsError(f"{where}: no rule is called {name!r}{_near(name, known)}")
        for name, values in self.thresholds.items():
            for key in values:
                if key not in known[name].thresholds:
                    there = known[name].thresholds
                    said = f"; it has {', '.join(there)}" if there else "; it has none"
                    raise SettingsError(f"thresholds.{name}: no threshold is called {key!r}{said}")
        return tuple(
            dataclasses.replace(rule, thresholds={**rule.thresholds, **self.thresholds.get(rule.id, {})})
            for rule in rules
            if rule.id not in self.disabled
        )


def _known(prefix: str, table: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    for key in table:
        if key not in keys:
            raise SettingsError(f"no setting is called {prefix}{key}{_near(key, keys)}; there are {', '.join(keys)}")


def _near(word: str, words: Iterable[str]) -> str:
    found = difflib.get_close_matches(word, list(words), 1)
    return f" (did you mean {found[0]!r}?)" if found else ""


def _table(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SettingsError(f"{name}: has to be a table, [{name}]")
    return value


def _numbers(name: str, value: Any) -> dict[str, float]:
    table = _table(name, value)
    for key, number in table.items():
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise SettingsError(f"{name}.{key}: has to be a number, not {number!r}")
    return {key: float(number) for key, number in table.items()}


def _words(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise SettingsError(f'{name}: has to be a list of words, such as ["class-imbalance"]')
    return tuple(value)
