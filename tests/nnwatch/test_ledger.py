"""The ledger: what was set differently from run to run, what it did, and the hints that follow."""

import json

from nnwatch import cli
from nnwatch.ledger import chosen

from .test_compare import write


def test_the_many_traces_of_one_choice_are_one_setting():
    facts = {
        "torch": "2.13.0",
        "optimizers": [{"class": "SGD", "lr": [0.1], "groups": 1, "where": "train.py:4"}],
        "model": {"class": "Net", "parameters": 1500, "trainable": 1500},
        "layers": {"relu": 2},
        "dropout": [["a", 0.5], ["b", 0.5]],
        "scheduler": [{"class": "StepLR", "settings": {"step_size": 30}, "every": "epoch"}],
        "batch_size": 32,
        "seeds": {"torch": 7, "numpy": True},
    }
    assert chosen(facts) == {
        "optimizer.class": "SGD",
        "optimizer.lr": [0.1],
        "schedule": "StepLR",
        "schedule.step_size": 30,
        "model": "Net of 1,500 parameters",
        "dropout": [0.5],
        "batch_size": 32,
        "seed": 7,
    }
    assert chosen({}) == {}
    assert "optimizer.1.lr" in chosen({"optimizers": [{"lr": [1]}, {"lr": [2]}]})


def test_three_runs_are_told_in_the_order_they_began(tmp_path, capsys):
    runs = [
        write(tmp_path / "a.nnw", [1.0, 2.0, 3.0], lr=0.012),
        write(tmp_path / "b.nnw", [0.9, 1.9, 2.9001], lr=0.011, rule="lr-too-high"),
        write(tmp_path / "c.nnw", [0.9, 2.0, 2.8], lr=0.010),
    ]
    assert cli.main(["compare", *runs]) == 0
    shown = capsys.readouterr().out
    assert "optimizer.lr: 0.012 → 0.011" in shown
    assert "this one is better" in shown
    assert "no difference shown" in shown
    assert "found: lr-too-high" in shown
    assert "hint (scale): 3 learning rates between 0.01 and 0.012" in shown
    assert "hint (seeds): " in shown
    assert cli.main(["compare", "--json", *runs]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [run["better"] for run in told["runs"]] == [None, "this one", None]
    assert {hint["id"] for hint in told["hints"]} == {"scale", "seeds"}


def test_hints_are_given_with_two_runs_as_well(tmp_path, capsys):
    a = write(tmp_path / "a.nnw", [1.0, 2.0, 3.0])
    b = write(tmp_path / "b.nnw", [1.0, 2.0, 3.0], lr=0.01)
    assert cli.main(["compare", a, b]) == 0
    assert "hint (seeds): the difference is within the noise" in capsys.readouterr().out
