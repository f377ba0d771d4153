"""The arithmetic of the range test."""

import math

import pytest

from nnwatch.probes.trials.ramp import HIGHEST, LOWEST, STEPS, Ramp


def ramped(loss, steps=STEPS):
    ramp = Ramp(steps)
    while not ramp.over:
        ramp.took(loss(ramp.rate))
    return ramp


def test_rates_rise_geometrically_from_the_lowest_to_the_highest():
    ramp = ramped(lambda rate: 1.0)
    assert len(ramp.rates) == STEPS
    assert ramp.rates[0] == LOWEST
    assert ramp.rates[-1] == pytest.approx(HIGHEST)
    assert ramp.rates[7] / ramp.rates[6] == pytest.approx(ramp.rates[100] / ramp.rates[99])


@pytest.mark.parametrize("steps", [STEPS, 60, 40])
@pytest.mark.parametrize("width", [3, 1])
def test_the_steepest_place_of_a_fall_is_suggested(steps, width):
    """A logistic fall around 1e-3: neither smoothing nor a short ramp moves it."""
    found = ramped(lambda rate: 2 - 1.5 / (1 + (1e-3 / rate) ** width), steps).found()
    assert 6e-4 < found["suggested"] < 1.3e-3
    assert found["suggested"] == found["rates"][found["steepest"]]
    assert found["ceiling"] is None


def test_coming_down_from_a_rise_is_no_fall():
    """A slow fall around 1e-3, a rise that ends before it is a divergence, and a steep fall from there."""

    def loss(rate):
        return 2 - 1 / (1 + 1e-3 / rate) + (0.5 if 0.05 < rate < 0.2 else 0) - (0.1 if rate > 0.2 else 0)

    ramp = ramped(loss)
    assert not ramp.diverged
    assert ramp.found()["suggested"] < 5e-3


def test_it_stops_where_the_loss_rises_for_good_and_calls_that_the_ceiling():
    ramp = ramped(lambda rate: 2.3 / (1 + rate * 1e3) + (rate * 20) ** 2)
    found = ramp.found()
    assert ramp.diverged
    assert len(found["rates"]) == len(found["losses"]) < STEPS
    assert found["ceiling"] == found["rates"][-1]
    assert 0.05 < found["ceiling"] < 0.5
    assert found["suggested"] < 0.01


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_the_ceiling_and_null(bad):
    found = ramped(lambda rate: bad if rate > 1 else 1 / (1 + rate)).found()
    assert found["losses"][-1] is None
    assert found["losses"][-2] is not None
    assert 1 < found["ceiling"] < 1.2


def test_nothing_is_suggested_where_the_loss_never_falls():
    found = ramped(lambda rate: 1 + rate / 100).found()
    assert found["suggested"] is None
    assert found["steepest"] is None


def test_a_negative_loss_diverges_where_it_rises():
    ramp = ramped(lambda rate: -2 * rate / (rate + 1e-3) if rate < 1 else 3.0)
    assert ramp.diverged
    assert 1 < ramp.rates[-1] < 10


def test_batches_that_differ_much_are_no_fall():
    """Every other batch is twice as hard: the average falls most among the first rates, where nothing is learned."""
    ramp = Ramp()
    while not ramp.over:
        hard = 2.0 if len(ramp.rates) % 14 < 7 else 1.0
        ramp.took(hard / (1 + (ramp.rate / 1e-2) ** 3))
    found = ramp.found()
    assert 3e-3 < found["suggested"] < 3e-2


def test_nothing_is_suggested_where_the_fall_is_within_the_noise():
    ramp = Ramp()
    while not ramp.over:
        ramp.took((2.0 if len(ramp.rates) % 2 else 1.0) - 0.05 * (ramp.rate > 1e-2))
    assert ramp.found()["suggested"] is None
