"""Which configurations are what they claim to be: `make zoo-harm`, results in ``results/labels.csv``.

A mutant is *faulty* if its score is worse than its clean twin's by more than three standard errors over five paired
seeds (the criterion of DeepCrime, Humbatova et al. 2021), else *harmless*: a third class, not scored as either. A
healthy configuration is one whose mean score reaches its family's ``good``, else it is *weak* and left out, and so are
the mutants made of it. Faults that a score cannot show count by their own criterion:

leak      validation rows are among the training rows (the score rises, and is a lie)
metric    what is reported is not what the net can do (validated in train mode, on other pictures than at use)
memory    memory grows with every step
pipeline  the training waits for its data at least as long as it computes
crash     the script ends with an exception
mode      layers train in the wrong mode, whatever that does to so small a net
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from . import data
from .catalogue import Configuration, configurations
from .record import HOME
from .statistics import paired
from .trial import Trial, scores

SEEDS = range(5)
FEW = range(1)
"""Of what is compared with nothing: the seed that is recorded."""
ERRORS = 3.0
TABLE = Path(__file__).parent / "results" / "labels.csv"
Label = Literal["healthy", "weak", "faulty", "harmless"]
_FIELDS = ["id", "half", "label", "criterion", "causes", "score", "twin_score", "errors"]


class Labelled(NamedTuple):
    configuration: Configuration
    label: Label
    score: float
    twin_score: float | None
    errors: float | None


def label(chosen: Iterable[Configuration], workers: int = 2) -> list[Labelled]:
    """Train what is needed and say what each configuration is."""
    known, chosen = configurations(), list(chosen)
    hurt = {one.id: one.twin for one in chosen if one.faulty and one.criterion == "harm"}
    wanted = {one.id: one for one in [*chosen, *(known[one.twin] for one in chosen if one.twin)]}
    folder = HOME / "work"
    data.write(folder)
    several = {*hurt, *hurt.values()}
    seeds = {id: SEEDS if id in several else FEW for id in wanted}
    score = scores(folder, [Trial(one, (), seed) for id, one in wanted.items() for seed in seeds[id]], workers)
    values = {id: [score[Trial(one, (), seed)] for seed in seeds[id]] for id, one in wanted.items()}
    return [_label(one, values) for one in chosen]


def _label(one: Configuration, values: dict[str, list[float]]) -> Labelled:
    own = values[one.id]
    mean = sum(own) / len(own)
    if one.twin is None:
        return Labelled(one, "healthy" if mean >= one.good else "weak", mean, None, None)
    twin = values[one.twin]
    twin_mean = sum(twin) / len(twin)
    errors = paired(twin, own)[1] if one.criterion == "harm" else None
    if twin_mean < configurations()[one.twin].good:
        found: Label = "weak"
    else:
        found = "faulty" if errors is None or errors > ERRORS else "harmless"
    return Labelled(one, found, mean, twin_mean, errors)


def save(rows: Iterable[Labelled]) -> None:
    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_FIELDS)
        for one, found, score, twin_score, errors in rows:
            numbers = ("" if value is None else f"{value:.4g}" for value in (score, twin_score, errors))
            writer.writerow([one.id, one.half, found, one.criterion, " ".join(one.causes), *numbers])


def labels() -> dict[str, Label]:
    """The committed table: what each configuration is, by id."""
    with TABLE.open(newline="") as file:
        return {row["id"]: row["label"] for row in csv.DictReader(file)}  # type: ignore[misc]


def main() -> None:
    rows = label(configurations().values(), int(sys.argv[1]) if sys.argv[1:] else 2)
    save(rows)
    for half in ("tuning", "aside"):
        count = {name: sum(r.configuration.half == half and r.label == name for r in rows) for name in get_args(Label)}
        print(half, *(f"{n} {name}" for name, n in count.items()))
    for row in rows:
        if row.label in ("weak", "harmless"):
            print(
                f"  {row.label:9} {row.configuration.id}  {row.score:.3f}", row.twin_score and f"{row.twin_score:.3f}"
            )


if __name__ == "__main__":
    main()
