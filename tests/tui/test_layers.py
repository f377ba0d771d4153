import numpy as np

from nnwatch.frame import Labels
from nnwatch.series import Series
from nnwatch.tui.layers import heat, index, is_far


def series(metric, *names):
    return Series(metric, len(names), Labels(1, list(names), ["Kind"] * len(names)))


def order(parameters, activations):
    return index(
        {"update.ratio": series("update.ratio", *parameters), "act.dead": series("act.dead", *activations)}
    ).names


def test_numbered_modules_stand_by_their_number():
    assert order(["0.weight", "0.bias", "2.weight", "10.weight"], ["1", "3", "11"]) == [
        "0.weight", "0.bias", "1", "2.weight", "3", "10.weight", "11",
    ]  # fmt: skip


def test_named_modules_stand_behind_their_relatives():
    names = order(
        ["stem.weight", "blocks.0.conv.weight", "blocks.1.conv.weight", "head.weight"], ["blocks.0.relu", "act"]
    )
    assert names == [
        "stem.weight",
        "blocks.0.conv.weight",
        "blocks.0.relu",
        "blocks.1.conv.weight",
        "head.weight",
        "act",
    ]


def test_the_model_order_of_the_parameters_stays():
    assert order(["b.weight", "a.weight", "b.bias"], []) == ["b.weight", "a.weight", "b.bias"]


def test_each_metric_knows_its_rows():
    rows = index({"update.ratio": series("update.ratio", "a.w", "b.w"), "act.dead": series("act.dead", "a.r")}).rows
    assert rows["update.ratio"].tolist() == [0, 2]
    assert rows["act.dead"].tolist() == [1]


def test_a_parameter_that_never_moves_is_as_far_as_one_that_jumps():
    assert is_far("update.ratio", 0.0)
    assert is_far("update.ratio", 0.5)
    assert not is_far("update.ratio", 2e-3)
    assert is_far("act.dead", 0.9)
    assert not is_far("weight.norm", 1e9)


def test_heat_is_on_fixed_scales_where_the_numbers_have_a_meaning():
    assert heat("act.dead", np.array([0.25])).tolist() == [0.25]
    assert heat("update.ratio", np.array([1e-3])).tolist() == [0.5]
    assert heat("weight.norm", np.array([3.0, 3.0, np.nan]))[:2].tolist() == [0.5, 0.5]
