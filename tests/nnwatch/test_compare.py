import json

import numpy as np
import pytest

from nnwatch import cli
from nnwatch.compare import Difference, changed, curve, difference, judge, settings
from nnwatch.frame import Commit, Event, FieldSpec, Finding, Run, Schema, Segment
from nnwatch.history import History
from nnwatch.session import Writer

from ..tui.recording import START, block


def frames(name, val, *, lr=0.1, order=7.0, rule=None):
    """A run of 200 steps and one evaluation with these losses, one a batch."""
    steps, n = np.arange(1, 201), len(val)
    out = [
        Run(name, name, "lab", ["python", "train.py"], "", "", START),
        Segment(0, 0, 1, START),
        Event("facts", START, data={"optimizers": [{"class": "SGD", "lr": [lr]}], "classes": 10}),
        Schema(1, "step", [FieldSpec("loss.train")]),
        Schema(2, "val", [FieldSpec("loss.val"), FieldSpec("val.size"), FieldSpec("val.order")]),
        block(1, steps, START + steps, 2.0 / steps),
        *(
            block(2, np.full(n, 200), np.full(n, START + 200), np.array(val), np.full(n, 50), order + np.arange(n))
            for _ in val[:1]
        ),
    ]
    if rule:
        out.append(Finding(1, rule, rule, "fact", "warn", "open", 1, 9, START, START, what="", why=""))
    return out


def track(*args, **options):
    history = History()
    for frame in frames("x", *args, **options):
        history.apply(frame)
    return history.tracks[0, 0]


def test_settings_that_differ_by_their_path():
    a = {"optimizers": [{"lr": [0.1], "class": "SGD"}], "amp": True}
    b = {"optimizers": [{"lr": [0.01], "class": "SGD"}]}
    assert settings(a, b) == [
        {"setting": "optimizers.0.lr", "a": [0.1], "b": [0.01]},
        {"setting": "amp", "a": True, "b": None},
    ]


def test_a_small_steady_gain_on_the_same_samples_is_shown():
    losses = np.array([1.0, 2.0, 3.0, 4.0])
    gap = difference(track(losses), track(losses - np.array([0.1, 0.11, 0.09, 0.1])))
    assert gap is not None
    assert gap.paired
    assert gap.value == pytest.approx(-0.1, abs=1e-3)
    assert judge(gap)["better"] == "B"


def test_the_same_gain_on_other_samples_is_not_shown():
    losses = np.array([1.0, 2.0, 3.0, 4.0])
    told = judge(difference(track(losses), track(losses - 0.1, order=99.0)))
    assert told["better"] is None
    assert told["text"].startswith("not shown")


def test_too_few_batches_have_no_noise_to_judge_by():
    told = judge(difference(track([1.0]), track([0.5], order=99.0)))
    assert (told["better"], told["error"]) == (None, None)


def test_without_validation_nothing_is_claimed():
    assert judge(difference(track([]), track([1.0, 1.1, 1.2])))["better"] is None
    assert judge(Difference(0.0, 0.0, True))["better"] is None


def test_a_curve_has_its_last_and_best_value():
    assert curve(track([1.0, 3.0]), "loss.val") == {"last": 2.0, "best": 2.0, "best_step": 200}
    assert curve(track([1.0]), "loss.train") == {
        "last": pytest.approx(2 / 150.5, rel=1e-3),
        "best": pytest.approx(0.01),
        "best_step": 200,
    }
    assert curve(track([1.0]), "accuracy.val") is None


def write(path, *args, **options):
    writer = Writer(path)
    writer.append(frames(path.stem, *args, **options), Commit(START + 200))
    writer.close()
    return str(path)


def test_the_command_says_it_to_people_and_to_programs(tmp_path, capsys):
    a = write(tmp_path / "a.nnw", [1.0, 2.0, 3.0], rule="lr-too-high")
    b = write(tmp_path / "b.nnw", [0.9, 1.9, 2.9001], lr=0.01, rule="overfitting")
    assert cli.main(["compare", a, b]) == 0
    shown = capsys.readouterr().out
    for line in ("optimizers.0.lr: 0.1 → 0.01", "gone: lr-too-high", "new: overfitting", "B is better"):
        assert line in shown
    assert cli.main(["compare", a, b, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"]["better"] == "B"


def test_of_two_commands_the_words_that_differ_are_shown():
    said = {"setting": "command", "a": "python train.py --lr 0.3 --epochs 8", "b": "python train.py --epochs 8"}
    assert changed(said) == "command: … --lr 0.3 → …"
    assert changed(said | {"a": "", "b": "x"}) == "command: … → … x"


def test_a_run_that_is_not_there_is_one_line_and_exit_code_2(tmp_path, capsys):
    assert cli.main(["compare", str(tmp_path / "no.nnw"), str(tmp_path / "no.nnw")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
