"""The ordered lists: what is in use is passed over, three are printed, and the numbers are the run's."""

import pytest

from nnwatch.advisor import changes, fixes
from nnwatch.advisor.case import frames
from nnwatch.advisor.context import Context
from nnwatch.history import History

LISTS = ["OVERFIT", "UNDERFIT", "NAN", "DEAD", "VANISH", "IMBALANCE", "BATCH", "DATA_STALL"]


def context(case, step=100):
    history = History()
    for frame in frames({"loss.train": "2.3*0.98x100", "lr": "1e-2x100"} | case):
        history.apply(frame)
    assert history.main is not None
    return Context(history, history.main, step)


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("facts", [{}, {"optimizers": [{"class": "SGD", "weight_decay": 1e-4}], "amp": True}])
def test_every_fix_says_what_becomes_what(name, facts):
    chosen = fixes.remedies(context({"facts": facts}), getattr(fixes, name), "the number", most=99)
    assert all("→" in remedy.change and remedy.expect == "the number" for remedy in chosen)
    assert {remedy.title for remedy in chosen} <= set(fixes.titles(getattr(fixes, name)))


def test_three_are_printed_in_the_order_of_the_list():
    chosen = fixes.remedies(context({}), fixes.OVERFIT, "")
    assert [r.title for r in chosen] == ["More data, or stronger augmentation", "Add dropout", "Raise the weight decay"]


def test_what_is_in_use_is_passed_over_and_what_is_there_is_said():
    facts = {
        "layers": {"dropout": 1, "batchnorm": 2},
        "dropout": [["drop", 0.2]],
        "optimizers": [{"class": "AdamW", "weight_decay": 0.5, "where": "train.py:9"}],
        "model": {"parameters": 85_000},
        "train_rows": 200,
        "modules": [["drop", "Dropout", 0, "net.py:7"]],
    }
    changes = {r.title: r.change for r in fixes.remedies(context({"facts": facts}), fixes.OVERFIT, "", 99)}
    assert changes["More data, or stronger augmentation"].startswith("200 samples for 85,000 parameters →")
    assert changes["A smaller model"] == "85,000 parameters → 21,250"
    assert changes["More dropout"] == "drop: p 0.2 → 0.5 (net.py:7)"
    assert {"Add dropout", "Raise the weight decay"}.isdisjoint(changes)


def test_a_dropout_layer_that_drops_nothing_is_not_in_use():
    facts = {"layers": {"dropout": 1}, "dropout": [["drop", 0.0]], "modules": [["drop", "Dropout", 0, "net.py:7"]]}
    changes = {r.title: r.change for r in fixes.remedies(context({"facts": facts}), fixes.OVERFIT, "", 99)}
    assert changes["Add dropout"] == "drop: p 0 → 0.2 (net.py:7)"


def test_classes_are_weighed_by_what_was_seen():
    case = {"target.count": {"0": "90x100", "1": "10x100"}}
    changes = {r.title: r.change for r in fixes.remedies(context(case), fixes.IMBALANCE, "", 99)}
    assert changes["Draw all classes equally often"].startswith("class 1 in 10 % of the samples →")
    assert changes["Weigh the classes in the loss"].endswith("5 for class 1")


def saved(path, step):
    return {"name": "checkpoint.saved", "step": step, "data": {"path": path}}


@pytest.mark.parametrize(
    ("events", "step", "says"),
    [
        ([], 50, "the weights of step 50"),
        ([saved("a.pt", 20), saved("b.pt", 40), saved("c.pt", 60)], 50, "b.pt (step 40)"),
        ([saved("last.pt", 20), saved("last.pt", 60)], 50, "the weights of step 50"),  # written over since
        ([saved("best.pt", 20), saved("last.pt", 40), saved("last.pt", 60)], 50, "best.pt (step 20)"),
    ],
)
def test_the_checkpoint_is_the_newest_that_still_holds_what_it_held(events, step, says):
    assert changes.restore(context({"events": events}), step) == says
