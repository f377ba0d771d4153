"""Hints between runs: each with the way that calls for it, and the way that does not."""

import re
from pathlib import Path

import pytest

from nnwatch.advisor.hints import IDS, Trial, hints
from nnwatch.advisor.rule import all_rules

HOUR = 3600.0


def trial(name="run", findings=(), loss=1.0, seconds=60.0, metrics=(), dirty=False, **settings):
    named = {key.replace("__", "."): value for key, value in settings.items()}
    return Trial(name, named, frozenset(findings), loss, seconds, frozenset(metrics), dirty)


def rate(value, **more):
    return trial(optimizer__lr=[value], optimizer__class="Adam", **more)


WAYS = {
    "one-change": ([rate(0.1, batch_size=32), rate(0.01, batch_size=64)], None),
    "seeds": ([rate(0.1), rate(0.01)], False),
    "order": ([rate(0.1, findings=["lr-too-high"], depth=2), rate(0.1, findings=["lr-too-high"], depth=3)], True),
    "two-stage": (
        [rate(0.1, findings=["underfitting"], dropout=0.1), rate(0.1, findings=["underfitting"], dropout=0.5)],
        True,
    ),
    "scale": ([rate(0.010), rate(0.012), rate(0.014)], True),
    "coarse-fine": ([rate(10.0**-i, seconds=2 * HOUR) for i in range(4)], True),
    "random": ([rate(r, width=w) for r in (0.1, 0.01, 0.001) for w in (32, 64)], True),
    "bayesian": ([rate(10.0 ** -(i % 4), width=i) for i in range(21)], True),
    "subsample": ([rate(0.1, seconds=7 * HOUR), rate(0.01, seconds=60.0), rate(0.001)], True),
    "start": (
        [
            trial(optimizer__class="SGD", findings=["not-learning"], depth=1),
            trial(optimizer__class="SGD", findings=["divergence"], depth=2),
        ],
        True,
    ),
    "log": ([rate(0.1, dirty=True), rate(0.01, dirty=True)], True),
    "validation-only": (
        [rate(0.1, metrics=["user.test_acc"]), rate(0.01, metrics=["user.test_acc"])],
        True,
    ),
}


def test_every_hint_has_a_way_that_calls_for_it():
    assert set(WAYS) == set(IDS)


@pytest.mark.parametrize("name", WAYS)
def test_it_is_given_where_the_runs_call_for_it(name):
    trials, shown = WAYS[name]
    assert name in [hint.id for hint in hints(trials, shown)]


@pytest.mark.parametrize(
    "trials",
    [
        [],
        [rate(0.1)],
        [rate(0.1), rate(0.01)],  # one change, shown to matter
        [rate(0.1), rate(0.03), rate(0.01)],  # on a log scale
        [rate(0.1, width=32), rate(0.01, width=32), rate(0.01, width=64)],
        [trial(optimizer__class="SGD", findings=["not-learning"], depth=1), trial(optimizer__class="SGD", depth=2)],
        [rate(0.1, findings=["lr-too-high"]), rate(0.01, findings=["lr-too-high"])],  # it is the rate that is tuned
    ],
)
def test_nothing_is_said_of_a_good_way(trials):
    assert hints(trials, True) == []


def test_hints_come_between_runs_only():
    assert hints([rate(0.1, findings=["lr-too-high", "underfitting"], dirty=True)], None) == []
    assert not set(IDS) & {rule.id for rule in all_rules()}
    folder = Path(__file__).parents[2]
    rooms = [folder / room for room in ("advisor", "nnwatch", "tui", "probes")]
    files = [file for room in rooms for file in room.glob("**/*.py") if "/nnwatch/advisor/" not in str(file)]
    assert {
        file.name for file in files if re.search(r"import .*\bhints\b|\.hints import", file.read_text("utf-8"))
    } == {
        "catalogue.py",  # names them on a page
        "ledger.py",  # of the runs of a folder
    }
