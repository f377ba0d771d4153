"""What the first remedy does: applied automatically through the settings of the script, and trained again.

A remedy is *parametric* when it changes a number that the script has as a setting (learning rate, clipping, weight
decay, dropout, batch, the length of the run); the others are *structural* and scored by whether they name a line that
the fault changed. Over three seeds that were not recorded a run is

repaired   no worse than its clean twin by more than three standard errors or 1 % of the way from chance
improved   better than the faulty run by a tenth of the way to the twin
worse      worse than the faulty run by as much

The controls take the same faulty runs: a tenth of the learning rate, Adam at 3e-4, one setting drawn at random and
changed at random, and a random search of two runs over learning rate and optimizer.
"""

from __future__ import annotations

import difflib
import math
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .catalogue import Configuration, configurations
from .record import HOME
from .score import Row
from .statistics import paired
from .trial import Scores, Trial

SEEDS = (1, 2, 3)
OUTCOMES = ("repaired", "improved", "no change", "worse")
Overrides = tuple[tuple[str, Any], ...]
_NUMBER = r"([\d.]+(?:e[+-]?\d+)?)"
_CHANGES = {
    "lr": rf"\blr (?:{_NUMBER}|no) → {_NUMBER}",
    "clip": rf"\bmax_norm (?:{_NUMBER}|none) → {_NUMBER}",
    "weight_decay": rf"\bweight_decay[ =]{_NUMBER} → (?:weight_decay=)?{_NUMBER}",
    "dropout": rf"\b(?:dropout|p)[ =]{_NUMBER} → (?:p=)?{_NUMBER}",
    "batch": rf"\bbatch {_NUMBER} → {_NUMBER}",
    "stop": rf"weights of step {_NUMBER} → .*?step {_NUMBER}",
}
_WHOLE = {"batch", "epochs", "steps", "updates"}


def parametric(row: Row) -> Overrides | None:
    """The settings that the first remedy of the primary diagnosis asks for; None if it is structural or absent."""
    if not row.outcome.warnings or not row.outcome.warnings[0].remedies:
        return None
    change = row.outcome.warnings[0].remedies[0].change.replace(",", "")
    knobs = row.configuration.knobs()
    for name, pattern in _CHANGES.items():
        found = re.search(pattern, change)
        if found is None:
            continue
        value = float(found[found.lastindex or 1])
        if name == "stop":
            length = next(knob for knob in ("epochs", "steps", "updates") if knob in knobs)
            share = value / max(float(found[1]), 1)
            return ((length, max(1, math.ceil(share * int(knobs[length])))),)
        if name not in knobs:
            return None
        return _rates(knobs, value) if name == "lr" else ((name, int(value) if name in _WHOLE else value),)
    return None


def _rates(knobs: dict[str, str], value: float) -> Overrides:
    """Both rates of a script that has two."""
    return tuple((name, value) for name in ("lr", "lr_d") if name in knobs)


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


def tenth(one: Configuration) -> Overrides:
    knobs = one.knobs()
    return tuple((name, float(knobs[name]) / 10) for name in ("lr", "lr_d") if name in knobs)


def adam(one: Configuration) -> Overrides:
    knobs = one.knobs()
    named = () if "lr_d" in knobs else (("optimizer", "adam"),)
    return (*named, *_rates(knobs, 3e-4))


def random_fix(one: Configuration) -> Overrides:
    """One number of the script, times or over up to a hundred."""
    draw, knobs = random.Random(one.id), one.knobs()
    names = sorted({"lr", "batch", "epochs", "steps", "clip", "weight_decay", "dropout"} & set(knobs))
    name = draw.choice(names)
    factor = 10 ** draw.uniform(-2, 2)
    if name == "dropout":
        return ((name, round(draw.uniform(0, 0.9), 2)),)
    if name in _WHOLE:
        return ((name, max(1, int(int(knobs[name]) * min(factor, 4)))),)
    value = float(knobs[name]) or {"clip": 1.0, "weight_decay": 1e-3}.get(name, 1e-3)
    return ((name, float(f"{value * factor:.2g}")),)


def random_search(one: Configuration, number: int) -> Overrides:
    """One draw of learning rate (log-uniform, 1e-5 to 1) and optimizer."""
    draw, knobs = random.Random(f"{one.id} {number}"), one.knobs()
    rate = float(f"{10 ** draw.uniform(-5, 0):.2g}")
    named = () if "lr_d" in knobs else (("optimizer", draw.choice(["sgd", "momentum", "adam"])),)
    return (*named, *_rates(knobs, rate))


def outcome(one: Configuration, scores: Scores, overrides: Overrides) -> str:
    twin = configurations()[one.twin or ""]
    clean = [scores.of(Trial(twin, (), seed)) for seed in SEEDS]
    before = [scores.of(Trial(one, (), seed)) for seed in SEEDS]
    after = [scores.of(Trial(one, overrides, seed)) for seed in SEEDS]
    gap, errors = paired(clean, after)
    top, bottom = sum(clean) / len(clean), sum(before) / len(before)
    now = sum(after) / len(after)
    if gap <= 0.01 * abs(top - one.chance) or errors <= 3:
        return "repaired"
    share = (now - bottom) / max(abs(top - bottom), 1e-9)
    return "improved" if share >= 0.1 else "worse" if share <= -0.1 else "no change"


def best_drawn(one: Configuration, scores: Scores) -> Overrides:
    return max((random_search(one, k) for k in (0, 1)), key=lambda o: scores.of(Trial(one, o, SEEDS[0])))


def report(faulty: Sequence[Row], workers: int) -> Iterable[str]:
    """Train everything again with its first remedy and with each control, and tell what became of it."""
    chosen = [(row.configuration, found) for row in faulty if (found := parametric(row))]
    chosen = [(one, found) for one, found in chosen if one.criterion == "harm"]
    scores = Scores(HOME / "work")
    ones = [one for one, _ in chosen]
    plain = [Trial(c, (), s) for one in ones for c in (one, configurations()[one.twin or ""]) for s in SEEDS]
    drawn = [Trial(one, random_search(one, k), SEEDS[0]) for one in ones for k in (0, 1)]
    single: list[Callable[[Configuration], Overrides]] = [tenth, adam, random_fix]
    fixed = [Trial(one, control(one), s) for one in ones for control in single for s in SEEDS]
    ours = [Trial(one, found, s) for one, found in chosen for s in SEEDS]
    scores.run([*plain, *drawn, *fixed, *ours], workers)
    scores.run([Trial(one, best_drawn(one, scores), s) for one in ones for s in SEEDS], workers)
    yield f"{len(chosen)} of {len(faulty)} faulty runs have a first remedy that changes a number of the script"
    yield f"{'':34}" + "".join(f"{name:>12}" for name in OUTCOMES)
    yield _line("first remedy", [outcome(one, scores, found) for one, found in chosen])
    right = [
        outcome(row.configuration, scores, found)
        for row in faulty
        if row.first and row.configuration.criterion == "harm" and (found := parametric(row))
    ]
    yield _line("  where the first diagnosis is right", right)
    yield _line("control: learning rate / 10", [outcome(one, scores, tenth(one)) for one in ones])
    yield _line("control: Adam 3e-4", [outcome(one, scores, adam(one)) for one in ones])
    yield _line("control: a random change", [outcome(one, scores, random_fix(one)) for one in ones])
    yield _line("control: random search, two runs", [outcome(one, scores, best_drawn(one, scores)) for one in ones])
    places = [(row, localised(row)) for row in faulty if row.outcome.warnings and not parametric(row)]
    named = [(row, hit) for row, hit in places if hit is not None]
    hits = sum(bool(hit) for _, hit in named)
    yield f"\nstructural remedies: {len(places)}; {len(named)} name a line, {hits} one that the fault changed"
    yield "\nEach run: the change that was made, and what became of it"
    for one, found in chosen:
        words = ", ".join(f"{name} = {value}" for name, value in found)
        yield f"  {outcome(one, scores, found):10} {one.id:58} {words}"


def _line(name: str, outcomes: Sequence[str]) -> str:
    count = Counter(outcomes)
    total = max(len(outcomes), 1)
    cells = "".join(f"{count[o]:5} {100 * count[o] / total:4.0f} %" for o in OUTCOMES)
    return f"{name:36}{cells}"
