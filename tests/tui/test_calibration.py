import numpy as np
import pytest

from nnwatch.series import Series
from nnwatch.tui.calibration import advice, reading, recent, reliability


def counts(*told):
    """(2, 20) counts from (confidence, wrong, right)."""
    out = np.zeros((2, 20))
    for confidence, wrong, right in told:
        out[:, int(confidence * 20)] += wrong, right
    return out


def test_perfect_calibration_has_no_error():
    told = reliability(counts((0.76, 225, 775), (0.26, 725, 275)), 10)
    assert told.error == pytest.approx(0, abs=1e-9)
    assert told.right[7] == pytest.approx(0.775)
    assert told.samples.sum() == 2000


def test_the_error_is_weighted_by_samples():
    told = reliability(counts((0.99, 300, 0), (0.51, 47.5, 52.5)), 10)
    assert told.error == pytest.approx(0.75 * 0.975)


def test_an_empty_bin_has_no_accuracy():
    assert np.isnan(reliability(counts((0.99, 0, 5)), 5).right[0])


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ([(0.15, 92, 8)], "no better than guessing"),
        ([(0.52, 45, 55)], "still in the middle: train longer"),
        ([(0.97, 30, 70)], "surer than it is right"),
        ([(0.72, 5, 95)], "right more often than it is sure"),
        ([(0.97, 3, 97)], "can be used"),
    ],
)
def test_one_sentence(told, sentence):
    assert sentence in advice(None, counts(*told), 10)
    assert sentence in advice(counts(*told), None, 10)


def test_nothing_measured_says_nothing():
    assert advice(None, None, 10) == ""
    assert reading(np.zeros((2, 20))) == ""


def test_validation_is_summed_over_its_last_pass():
    series = Series("confidence.val", 40, None)
    series.append(np.array([5, 9, 9]), np.zeros(3), np.ones((3, 40), np.float32), None)
    assert recent(series, 3).sum() == 80
    assert recent(series, 1).sum() == 40
