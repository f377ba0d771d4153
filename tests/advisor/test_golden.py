"""Recordings of real runs, thinned: what the rules make of them. `python -m tests.zoo.golden` records them anew."""

from pathlib import Path

import pytest

from tests.zoo.judge import judge, load

FOLDER = Path(__file__).parents[1] / "sessions"
EXPECTED = {
    "healthy": None,
    "nan-in-a-table": ("nan-input", "fatal"),
    "rate-of-one": ("lr-too-high", "fatal"),
    "rate-of-a-millionth": ("lr-too-low", "warn"),
    "broadcast-targets": ("shape-broadcast", "error"),
    "head-after-the-optimizer": ("stale-optimizer-params", "error"),
}


def test_every_recording_is_expected_to_say_something():
    assert {file.stem for file in FOLDER.glob("*.nnw")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_primary_diagnosis_of_a_real_run(name):
    outcome = judge(name, load(FOLDER / f"{name}.nnw"))
    primary = next(((said.rule, said.worst) for said in outcome.warnings if said.primary), None)
    assert primary == EXPECTED[name]
    if EXPECTED[name] is None:
        assert not outcome.warnings
