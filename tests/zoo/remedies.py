"""The first remedy of a finding, read from its text as a person would read it.

A remedy is *parametric* when it changes a number that the script has as a setting (learning rate, clipping, weight
decay, dropout, batch, the length of the run); the others are *structural* and scored by whether they name a line that
the fault changed.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from typing import Any

from .catalogue import configurations
from .score import Row

Overrides = tuple[tuple[str, Any], ...]
_NUMBER = r"([\d.]+(?:e[+-]?\d+)?)"
_CHANGES = (
    ("lr", rf"\blr (?:{_NUMBER}|no) → {_NUMBER}"),
    ("clip", rf"\bmax_norm (?:{_NUMBER}|none) → {_NUMBER}"),
    ("weight_decay", rf"\bweight_decay {_NUMBER} → {_NUMBER}"),
    ("dropout", rf"(?:\bp {_NUMBER}|\bno dropout) → {_NUMBER}"),
    ("batch", rf"\bbatch {_NUMBER} → {_NUMBER}"),
    ("length", rf"^{_NUMBER} steps → {_NUMBER}"),
    ("length", rf"\bweights of step {_NUMBER} → .*?step {_NUMBER}"),
)
RATES = ("lr", "lr_d")
LENGTHS = ("epochs", "steps", "updates")
WHOLE = {"batch", *LENGTHS}


def parametric(row: Row) -> Overrides | None:
    """The settings that the first remedy of the primary diagnosis asks for; None if it is structural or absent."""
    if not row.outcome.warnings or not row.outcome.warnings[0].remedies:
        return None
    change = row.outcome.warnings[0].remedies[0].change.replace(",", "")
    knobs = row.configuration.knobs()
    asked: dict[str, Any] = {}
    for name, pattern in _CHANGES:
        found = re.search(pattern, change)
        if found is not None:
            now, value = float(found[1] or "nan"), float(found[found.lastindex or 1])
            asked |= _settings(name, now, value, knobs)
    return tuple(asked.items()) or None


def _settings(name: str, now: float, value: float, knobs: Mapping[str, str]) -> dict[str, Any]:
    """The settings of the script that a change from ``now`` to ``value`` means; empty if it has none of that name."""
    if name == "lr":  # a script with two optimizers: of what the remedy found
        return dict.fromkeys([rate for rate in RATES if float(knobs.get(rate, "nan")) == now] or ["lr"], value)
    if name == "length":
        (knob,) = set(LENGTHS) & set(knobs)
        return {knob: max(1, math.ceil(round(value / max(now, 1) * int(knobs[knob]), 6)))}
    return {name: int(value) if name in WHOLE else value} if name in knobs else {}


def localised(row: Row) -> bool | None:
    """Whether a remedy of the primary names a line that the fault changed; None if none names any line."""
    one, twin = row.configuration, configurations()[row.configuration.twin or ""]
    texts = [f"{r.title} {r.change}" for r in (row.outcome.warnings[0].remedies if row.outcome.warnings else ())]
    named = {int(line) for text in texts for line in re.findall(r"train\.py:(\d+)", text)}
    if not named:
        return None
    clean, faulty = (c.script({"seed": 0}).splitlines() for c in (twin, one))
    changed: set[int] = set()
    for tag, _, _, start, end in difflib.SequenceMatcher(None, clean, faulty, autojunk=False).get_opcodes():
        if tag != "equal":
            changed |= set(range(start, end + 2))  # lines count from 1; the one after a deletion counts
    return bool(named & changed)
