"""Remedies read from their text, what counts as repaired, and the controls."""

import ast
import json

from nnwatch.frame import Remedy

from .catalogue import configurations
from .controls import adam, random_fix, random_search, tenth
from .outcomes import outcome, said
from .remedies import localised, parametric
from .repair import SEEDS
from .repair import outcome as repaired
from .score import faulty_row
from .trial import Scores, Trial


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


def test_every_control_is_a_script():
    for one in configurations().values():
        if one.faulty and one.criterion == "harm":
            for overrides in (tenth(one), adam(one), random_fix(one), random_search(one, 0)):
                ast.parse(one.script(dict(overrides)))
