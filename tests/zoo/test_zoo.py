"""The zoo's own arithmetic, and that every configuration is a script that can be written."""

import ast
import json
import math
import re

import numpy as np
import pytest

from nnwatch.advisor.rule import all_rules
from nnwatch.frame import Block, FieldSpec, Labels, Remedy, Schema, Segment
from nnwatch.history import History

from .catalogue import FAMILIES, configurations, families
from .causes import GROUPS, SYMPTOMS, group
from .controls import adam, random_fix, random_search, tenth
from .data import write
from .harm import _label
from .judge import Outcome, Said, judge, load
from .published import fired
from .record import record, recorded, session
from .remedies import localised, parametric
from .repair import SEEDS
from .repair import outcome as repaired
from .report import report
from .score import Scored, faulty_row
from .statistics import bootstrap, paired, wilson
from .table import rate
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


def said(rule, worst="error", step=30, primary=False, cause=None, open=True):
    return Said(rule, worst, step, open, primary, cause, "", None, (Remedy("a", "b", "c"),))


def outcome(*warnings, nonfinite=None):
    return Outcome("mlp/x", 300, nonfinite, warnings, (), {})


def test_what_counts_as_detected_first_and_wrong():
    one = configurations()["mlp/sgd 0.3 + lr 10"]
    right = said("lr-too-high", primary=True)
    row = faulty_row(one, outcome(right, said("dead-relu", cause="lr-too-high"), nonfinite=50), outcome())
    assert (row.detected, row.first, row.symptom, row.wrong, row.lead) == (True, True, False, (), 20)
    assert not faulty_row(one, outcome(right), outcome(right)).detected, "the clean twin gets it as well"
    late = faulty_row(
        one, outcome(said("overfitting", primary=True), said("softmax-twice"), said("dead-relu"), right), outcome()
    )
    assert (late.detected, late.wrong) == (False, ("overfitting", "softmax-twice"))
    seen = faulty_row(one, outcome(said("not-learning", primary=True)), outcome())
    assert (seen.symptom, seen.detected, seen.wrong) == (True, False, ())


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


def test_a_remedy_is_read_from_its_text_and_applied_to_the_script():
    one = configurations()["mlp/sgd 0.3 + lr 10"]

    def asks(change):
        finding = said("lr-too-high", primary=True)._replace(remedies=(Remedy("t", change, "e"),))
        return parametric(faulty_row(one, outcome(finding), outcome()))

    assert asks("lr 10 → 0.05 (train.py:41)") == (("lr", 0.05),)
    assert asks("lr 3 → 5e-4") == (("lr", 5e-4),)
    assert asks("max_norm 1e-4 → 2.4 (train.py:50)") == (("clip", 2.4),)
    assert asks("batch 64 → 8") == (("batch", 8),)
    assert asks("weights of step 300 → the weights of step 100, patience 5 evaluations") == (("epochs", 5),)
    assert asks("315 steps → 1,260, with the schedule to match") == (("epochs", 60),)
    assert asks("batch 16 → 64, lr 10 → 20") == (("lr", 20.0), ("batch", 64))
    assert (
        asks("0: p 0.9 → 0.2 (train.py:41)")
        == asks("no dropout → 0.2 in front of the last layers")
        == (("dropout", 0.2),)
    )
    assert asks("ReLU → LeakyReLU(0.01) or GELU") is None
    assert asks("warm-up of 10 steps → 50") is None
    assert "lr = 0.05\n" in one.script(dict(asks("lr 10 → 0.05")))


def test_a_structural_remedy_is_right_where_it_names_a_line_of_the_fault():
    one = next(c for c in configurations().values() if c.causes == ("softmax-twice",) and c.family == "mlp")
    line = 1 + next(i for i, text in enumerate(one.script({"seed": 0}).splitlines()) if ".softmax(1)" in text)

    def named(change):
        finding = said("softmax-twice", primary=True)._replace(remedies=(Remedy("t", change, "e"),))
        return localised(faulty_row(one, outcome(finding), outcome()))

    assert named(f"x (train.py:{line})") is True
    assert named("x (train.py:3)") is False
    assert named("x") is None


def test_of_two_rates_the_remedy_changes_those_that_it_found():
    def asks(fault, change):
        row = faulty_row(configurations()[f"gan/two rates + {fault}"], outcome(), outcome())
        finding = said("lr-too-high", primary=True)._replace(remedies=(Remedy("t", change, "e"),))
        return parametric(row._replace(outcome=outcome(finding)))

    assert asks("lr 1", "lr 1 → 2e-4") == (("lr", 2e-4), ("lr_d", 2e-4))
    assert asks("generator lr 1", "lr 1 → 2e-4") == (("lr", 2e-4),)
    assert asks("generator lr 1", "lr 0.002 → 2e-4") == (("lr_d", 2e-4),)
    assert asks("generator lr 1", "lr 0.7 → 2e-4") == (("lr", 2e-4),), "a schedule has moved it"


def test_what_counts_as_repaired(tmp_path):
    one = configurations()["mlp/sgd 0.3 + lr 10"]
    twin, change = configurations()[one.twin or ""], (("lr", 0.2),)

    def became(*after):
        trials = {Trial(twin, (), seed): 0.97 for seed in SEEDS} | {Trial(one, (), seed): 0.1 for seed in SEEDS}
        trials |= {Trial(one, change, seed): score for seed, score in zip(SEEDS, after, strict=True)}
        lines = (json.dumps({"key": trial.key, "score": score}) + "\n" for trial, score in trials.items())
        (tmp_path / "trials.jsonl").write_text("".join(lines))
        return repaired(one, Scores(tmp_path), change)

    assert became(0.97, 0.96, 0.98) == "repaired"
    assert became(0.5, 0.51, 0.49) == "improved"
    assert became(0.97, 0.1, 0.1) == "improved", (
        "within three standard errors, but two of three seeds are as bad as before"
    )
    assert became(0.12, 0.1, 0.1) == "no change"
    assert became(None, None, None) == "no change"


def test_a_line_of_the_table_says_whether_it_is_reached():
    line = rate("found", [True] * 9 + [False], bool, lambda hit: str(hit), ">= 90")
    assert "9 of   10   90.0 %    60 to  98 %   families   0 to 100 %   to reach >= 90: met" in line
    assert rate("loud", [True, False], bool, lambda hit: "f", "<= 2").endswith("to reach <= 2: missed")
    assert "none" in rate("nothing", [], bool, str)


def test_the_report_tells_misses_and_what_was_not_recorded():
    late, bad = configurations()["mlp/sgd 0.3 + lr 10"], configurations()["mlp/adam + NaN in a row"]
    rows = [
        faulty_row(late, outcome(said("lr-too-high", primary=True), nonfinite=50), outcome()),
        faulty_row(bad, outcome(nonfinite=40), outcome()),
    ]
    text = "\n".join(report(Scored(rows, [outcome(said("plateau"))], [], 3, ["mlp/lost"])))
    assert "2 faulty and 1 healthy configurations; 0 harmless and 3 weak ones are not scored" in text
    assert "median 20 of [20]   to reach >= 5: met" in text
    assert "where the data or an operation is the cause  median 0 of [0]" in text
    assert "Not recorded: mlp/lost" in text
    assert re.search(r"^healthy with a warn or worse +1 of +1  100.0 %.*missed$", text, re.MULTILINE)
    assert re.search(r"^- mlp/adam \+ NaN in a row +\[nan-input\]  nothing$", text, re.MULTILINE)
    assert "crashed" in text.partition("Causes that no run here has:")[2]


def test_every_control_is_a_script():
    for one in configurations().values():
        if one.faulty and one.criterion == "harm":
            for overrides in (tenth(one), adam(one), random_fix(one), random_search(one, 0)):
                ast.parse(one.script(dict(overrides)))


def recorded_columns(**columns):
    """A history with a record a step of each metric; a name's dots are written as two underscores."""
    history = History()
    history.apply(Segment(0, 0, 1, 0.0))
    for number, (name, values) in enumerate(columns.items(), 1):
        metric, table = name.replace("__", "."), np.atleast_2d(np.asarray(values, np.float32).T).T
        steps = np.arange(1, len(table) + 1)
        names = [f"{i}.weight" for i in range(table.shape[1])]
        history.apply(Labels(number, names, ["4x4"] * len(names)))
        history.apply(Schema(number, metric, [FieldSpec(metric, table.shape[1], number)]))
        bytes_of = steps.tobytes(), steps.astype(float).tobytes(), np.ascontiguousarray(table.T).tobytes()
        history.apply(Block(number, 0, 0, len(steps), *bytes_of))
    return history


def test_published_rules_keep_their_own_thresholds():
    calm = fired(recorded_columns(loss__train=np.linspace(2, 1, 100), update__ratio=np.full((100, 2), 1e-3)))
    assert calm["SageMaker Debugger"] == []
    assert calm["TheDeepChecker"] == []
    wild = fired(recorded_columns(loss__train=[2.0, np.nan, 1.0], update__ratio=np.full((3, 2), 11), lr=[[0.5]] * 3))
    assert wild["SageMaker Debugger"] == ["WeightUpdateRatio", "ExplodingTensor"]
    assert wild["UMLAUT"] == ["learning rate high", "not a number in loss"]
    assert wild["TheDeepChecker"] == ["updates too large", "not a number"]
    assert wild["AutoTrainer"] == ["exploding gradient"]
    assert fired(History())["UMLAUT"] == []


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
