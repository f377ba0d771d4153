"""What becomes of a faulty run when its first remedy is applied through the settings of the script, by itself.

Trained again over three seeds that were not recorded, a run is

repaired   no worse than its clean twin by more than three standard errors and with half of the harm undone, or no
           worse by more than 1 % of the way from chance
improved   better than the faulty run by a tenth of the way to the twin
worse      worse than the faulty run by as much

The controls take the same runs. Random search has two runs, as many as watching and repairing takes; the better counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from .catalogue import Configuration, configurations
from .controls import adam, random_fix, random_search, tenth
from .harm import ERRORS
from .record import HOME
from .remedies import Overrides, localised, parametric
from .score import Row
from .statistics import paired
from .table import rate
from .trial import Scores, Trial

SEEDS = (1, 2, 3)
DRAWS = (0, 1)
Change = Callable[[Configuration], Overrides]


def outcome(one: Configuration, scores: Scores, overrides: Overrides) -> str:
    clean, before, after = (
        [scores.of(Trial(of, changed, seed)) for seed in SEEDS]
        for of, changed in ((_twin(one), ()), (one, ()), (one, overrides))
    )
    gap, errors = paired(clean, after)
    harm, gain = (sum(values) / len(SEEDS) - sum(before) / len(SEEDS) for values in (clean, after))
    share = gain / max(abs(harm), 1e-9)
    top = sum(clean) / len(SEEDS)
    if gap <= 0.01 * abs(top - one.chance) or (errors <= ERRORS and share >= 0.5):
        return "repaired"
    return "improved" if share >= 0.1 else "worse" if share <= -0.1 else "no change"


def _twin(one: Configuration) -> Configuration:
    return configurations()[one.twin or ""]


def _best_drawn(one: Configuration, scores: Scores) -> Overrides:
    return max((random_search(one, k) for k in DRAWS), key=lambda drawn: scores.of(Trial(one, drawn, SEEDS[0])))


def report(faulty: Sequence[Row], workers: int) -> Iterable[str]:
    """Train everything again with its first remedy and with each control, and tell what became of it."""
    hurt = [row for row in faulty if row.configuration.criterion == "harm"]
    remedy = {row.configuration: found for row in hurt if (found := parametric(row))}
    ones, scores = list(remedy), Scores(HOME / "work")
    scores.run([Trial(one, random_search(one, k), SEEDS[0]) for one in ones for k in DRAWS], workers)
    changes: dict[str, Change] = {
        "first remedy": remedy.__getitem__,
        "control: learning rate / 10": tenth,
        "control: Adam 3e-4": adam,
        "control: a random change": random_fix,
        "control: random search": lambda one: _best_drawn(one, scores),
    }
    plain = [Trial(of, (), seed) for one in ones for of in (one, _twin(one)) for seed in SEEDS]
    changed = [Trial(one, change(one), seed) for change in changes.values() for one in ones for seed in SEEDS]
    scores.run([*plain, *changed], workers)
    became = {name: {one: outcome(one, scores, change(one)) for one in ones} for name, change in changes.items()}

    yield f"{len(faulty)} faulty runs, of {len(hurt)} the score is hurt: {len(ones)} have a first remedy that changes a"
    yield f"number of the script, {sum(not row.outcome.warnings for row in hurt)} have no finding\n\nrepaired"
    ours = became.pop("first remedy")
    right = {row.configuration for row in hurt if row.first}
    yield _line("first remedy", ours, ">= 70")
    yield _line("  where the first diagnosis is right", {one: ours[one] for one in ones if one in right})
    for name, outcomes in became.items():
        yield _line(name, outcomes)
    best = max(_repaired(outcomes) for outcomes in became.values())
    yield f"above every control: {'met' if _repaired(ours) > best else 'missed'}"
    yield from _structural(faulty)
    yield "\nEach run: the change that was made, and what became of it"
    for one, found in remedy.items():
        yield f"  {ours[one]:10} {one.id:58} {', '.join(f'{name} = {value}' for name, value in found)}"


def _repaired(outcomes: dict[Configuration, str]) -> int:
    return sum(what == "repaired" for what in outcomes.values())


def _line(name: str, outcomes: dict[Configuration, str], reach: str = "") -> str:
    count = Counter(outcomes.values())
    rest = ", ".join(f"{count[what]} {what}" for what in ("improved", "no change", "worse"))
    line = rate(name, list(outcomes), lambda one: outcomes[one] == "repaired", lambda one: one.family, reach)
    return f"{line}; {rest}"


def _structural(faulty: Sequence[Row]) -> Iterable[str]:
    """Remedies that change no number: whether they name a line of the fault."""
    others = [row for row in faulty if row.outcome.warnings and not parametric(row)]
    named = [row for row in others if localised(row) is not None]
    yield f"\n{len(others)} first remedies are structural, {len(named)} of them name a line"
    yield rate(
        "a line that the fault changed", named, lambda row: bool(localised(row)), lambda r: r.configuration.family
    )
