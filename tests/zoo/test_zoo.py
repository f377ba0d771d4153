"""The zoo's own arithmetic, and that every configuration is a script that can be written."""

import ast
import json
import math

import numpy as np
import pytest

from nnwatch.advisor.rule import all_rules

from .catalogue import FAMILIES, configurations, families
from .causes import GROUPS, SYMPTOMS, group
from .data import write
from .harm import _label
from .judge import judge, load
from .record import record, recorded, session
from .statistics import bootstrap, paired, wilson
from .trial import Scores, Trial


def test_wilson_is_the_interval_of_the_textbook():
    assert np.allclose(wilson(0, 300), (0, 0.01264), atol=1e-5)
    assert np.allclose(wilson(8, 10), (0.4902, 0.9433), atol=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_the_bootstrap_draws_families_not_configurations():
    low, high = bootstrap({"a": [1.0] * 50, "b": [0.0] * 50})
    assert (low, high) == (0.0, 1.0)
    assert bootstrap({"a": [1, 0] * 9, "b": [0, 1] * 9}) == (0.5, 0.5)


def test_harm_is_counted_in_standard_errors_of_the_paired_difference():
    mean, errors = paired([0.9, 0.92, 0.94, 0.9, 0.91], [0.8, 0.83, 0.84, 0.79, 0.81])
    assert mean == pytest.approx(0.1)
    assert errors == pytest.approx(0.1 / (math.sqrt(0.0002 / 4) / math.sqrt(5)))
    assert paired([1, 1], [0, 0]) == (1.0, math.inf)
    assert paired([1, 1], [1, 1]) == (0.0, 0.0)


@pytest.mark.parametrize("one", configurations().values(), ids=lambda one: one.id)
def test_every_configuration_is_a_script(one):
    ast.parse(one.script({"seed": 3}))
    if one.twin:
        assert one.script() != configurations()[one.twin].script()


def test_causes_are_rules_of_the_catalogue_and_belong_to_one_group():
    named = {cause for one in configurations().values() for cause in one.causes}
    grouped = [cause for causes in GROUPS.values() for cause in causes]
    assert len(grouped) == len(set(grouped))
    assert all(group(cause) for cause in named)
    assert {rule.id for rule in all_rules()} >= named & {"lr-too-high", "lr-too-low", "nan-input", "overfitting"}
    assert not named & {"not-learning", "plateau"}, "what can only be seen is no cause"
    assert SYMPTOMS


def test_no_two_recordings_share_a_file():
    paths = [session(one) for one in configurations().values()]
    assert len(paths) == len(set(paths))


def test_every_family_has_a_script_and_a_half():
    assert {file.stem for file in FAMILIES.glob("*.py")} == set(families())
    assert {table["half"] for table in families().values()} <= {"tuning", "aside"}


def test_a_mutant_is_faulty_only_if_it_hurts():
    clean, mutant = configurations()["mlp/sgd 0.3"], configurations()["mlp/sgd 0.3 + lr 10"]
    good, bad = [0.97, 0.98, 0.96, 0.97, 0.97], [0.1, 0.12, 0.1, 0.09, 0.1]
    assert _label(mutant, {clean.id: good, mutant.id: bad}).label == "faulty"
    assert _label(mutant, {clean.id: good, mutant.id: good}).label == "harmless"
    assert _label(mutant, {clean.id: bad, mutant.id: bad}).label == "weak"
    assert _label(clean, {clean.id: good}).label == "healthy"


def test_trials_are_kept_and_none_scores_worse_than_a_broken_one(tmp_path):
    one = configurations()["lstm/adam"]
    awful = Trial(one, (), 4)
    (tmp_path / "trials.jsonl").write_text(json.dumps({"key": awful.key, "score": -1e9}) + "\n")
    short = Trial(one, (("epochs", 1), ("rows", 64)), 0)
    broken = Trial(one, (("epochs", 0),), 0)
    scores = Scores(tmp_path)
    scores.run([short, broken], workers=1)
    assert 0 <= scores.of(short) <= 1
    assert scores.of(broken) == scores.of(awful) == one.chance
    again = Scores(tmp_path)
    assert again.of(short) == scores.of(short)


def test_a_recording_of_several_gives_each_its_own_session(tmp_path):
    ids = (
        "regression/momentum 0.01",
        "finetune/all weights + labels not shifted",
        "regression/adam + NaN in the table",
    )
    chosen = [configurations()[id] for id in ids]
    write(tmp_path / "work")
    record(chosen, tmp_path)
    healthy, crashed, broken = (load(session(one, tmp_path)) for one in chosen)
    assert all(recorded(one, tmp_path) for one in chosen)
    assert [len(history.tracks) for history in (healthy, crashed, broken)] == [1, 0, 1]
    assert healthy.last_step == 110
    assert healthy.facts[0, 0]["planned_steps"] == 110
    assert healthy.end
    assert crashed.end
    assert (healthy.end.status, crashed.end.status, crashed.end.exit) == ("finished", "failed", 1)
    assert len(healthy.tracks[0, 0]["loss.train"]) == 110
    assert judge("b", broken).nonfinite == broken.events[0].step
    assert judge("a", healthy).nonfinite is None
