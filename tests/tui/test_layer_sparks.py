import numpy as np
import pytest

from nnwatch.tui.widgets.layer_sparks import shares


def test_each_row_has_an_axis_of_its_own():
    found = shares("update.ratio", np.array([[1e-4, 1e-2], [5.0, 0.5], [np.nan, np.nan]]))
    assert found[:2].tolist() == [[0, 1], [1, 0]]
    assert np.isnan(found[2]).all()


def test_noise_is_not_blown_up():
    low, high = shares("weight.norm", np.array([[3.70, 3.72]]))[0]
    assert 0.4 < low < high < 0.6


def test_values_around_zero_are_on_a_linear_axis_and_shares_as_they_are():
    assert shares("act.mean", np.array([[-1.0, 0.0, 3.0]]))[0] == pytest.approx([0, 0.25, 1])
    assert shares("act.dead", np.array([[0.2, 0.3]]))[0].tolist() == [0.2, 0.3]


def test_what_is_not_finite_has_no_place():
    assert np.isnan(shares("grad.norm.layer", np.array([[1.0, np.inf, 2.0]]))[0, 1])
