"""Lines of the user's script in remedies: each where its fact is known, nothing where it is not."""

import pytest

from nnwatch.advisor import place
from nnwatch.advisor.case import run

from .sessions import sessions
from .test_fixes import context

MODULES = [["", "Net", 0, "train.py:9", "train.py:30"], ["body.0", "Linear", 80, "net.py:7", "net.py:15"]]


def test_a_module_is_found_by_its_name_or_that_of_its_parameter():
    at = context({"facts": {"modules": MODULES}})
    assert [place.of_layer(at, name) for name in ("body.0", "body.0.weight")] == [" (net.py:7)"] * 2
    assert [place.of_call(at, name) for name in ("", "body.0.bias")] == [" (train.py:30)", " (net.py:15)"]
    assert place.of_call(at, "head.weight") == ""


def test_what_nobody_saw_has_no_place():
    for facts in ({}, {"modules": [["body.0", "Linear", 80, None, None]]}, {"modules": [["body.0", "Linear", 80]]}):
        at = context({"facts": facts})
        assert (place.of_layer(at, "body.0"), place.of_call(at, "body.0"), place.of(at, "backward")) == ("", "", "")


@pytest.mark.parametrize(
    ("stem", "facts"),
    [
        ("missing_zero_grad", {"backward": {"where": "train.py:31"}}),
        ("detached_graph", {"modules": [["fc1", "Linear", 80, "net.py:7", "train.py:31"]]}),
        ("eval_mode_wrong", {"evaluating": {"where": "train.py:31"}}),
        ("val_in_train_mode", {"validation": {"where": "train.py:31"}}),
        ("augmentation_on_validation", {"val_loader": {"where": "train.py:31"}}),
        ("not_shuffled", {"loader": {"where": "train.py:31"}}),
        ("softmax_twice", {"output": {"where": "train.py:31"}}),
        ("unnormalised_input", {"modules": [["", "Net", 80, "net.py:7", "train.py:31"]]}),
        ("unnormalised_target", {"loss": {"name": "mse_loss", "where": "train.py:31"}}),
    ],
)
def test_the_first_remedy_names_the_line_to_change(stem, facts):
    rule = stem.replace("_", "-")
    case = next(case for case in sessions(stem).values() if rule in case["finds"])
    said = run(case | {"facts": case.get("facts", {}) | facts}).history.finding_log
    change = next(finding for finding in said if finding.rule == rule).remedies[0].change
    assert change.count("train.py:31") == 1
