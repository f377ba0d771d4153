"""Windows against the plainest way to compute the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nnwatch.advisor.window import (
    View,
    block_medians,
    column_medians,
    medians,
    noise,
    outliers,
    rise_point,
    slope,
    together,
    trend,
)
from nnwatch.series import Series

NUMBERS = st.lists(st.floats(-1e3, 1e3, width=32), max_size=70)
STEPS = st.lists(st.integers(1, 100), min_size=1, max_size=40, unique=True).map(sorted)


def view(steps, until):
    series = Series("loss.train", 1, None)
    values = np.arange(len(steps), dtype=np.float32)[:, None]
    series.append(np.array(steps, np.int64), np.array(steps, np.float64), values, None)
    return View.of(series, series.until(until))


@given(STEPS, st.integers(0, 101), st.integers(0, 101), st.integers(0, 50))
def test_views_are_what_a_filter_would_keep(steps, until, edge, count):
    whole = view(steps, until)
    known = [s for s in steps if s <= until]
    assert whole.steps.tolist() == known
    assert whole.since(edge).steps.tolist() == [s for s in known if s >= edge]
    assert whole.before(edge).steps.tolist() == [s for s in known if s < edge]
    assert whole.last(count).steps.tolist() == known[len(known) - min(count, len(known)) :]
    assert whole.since(edge).scalar.tolist() == [i for i, s in enumerate(steps) if s <= until and s >= edge]


@given(STEPS, st.integers(1, 30))
def test_thinning_keeps_the_first_and_no_more_than_asked(steps, count):
    thin = view(steps, 100).thin(count)
    assert len(thin.steps) <= count
    assert thin.steps[0] == steps[0]


@given(NUMBERS)
def test_block_medians_are_medians_of_equal_parts_of_the_newest(values):
    blocks = block_medians(np.array(values))
    size = len(values) // 20
    if size < 2:
        assert blocks.tolist() == values[-20:]
    else:
        part = values[len(values) - 20 * size :]
        assert blocks.tolist() == [float(np.median(part[i * size : (i + 1) * size])) for i in range(20)]


@given(st.lists(st.integers(-50, 50), min_size=4, max_size=20))
def test_slope_and_trend_are_theil_sen_and_mann_kendall(values):
    x, y = np.arange(len(values)), np.array(values, float)
    assert slope(y) == pytest.approx(stats.theilslopes(y, x)[0])
    s = sum(np.sign(y[j] - y[i]) for i in x for j in x if i < j)
    tau = stats.kendalltau(x, y, variant="b").statistic
    assert np.sign(trend(y)) == (0 if abs(s) <= 1 or np.isnan(tau) else np.sign(tau))
    p = stats.kendalltau(x, y, method="asymptotic").pvalue
    if len(set(values)) > 1 and len(values) > 9:
        assert abs(trend(y)) == pytest.approx(stats.norm.isf(p / 2), rel=0.2, abs=0.15)


def test_noise_ignores_trend_and_outliers():
    rng = np.random.default_rng(0)
    values = 10 - 0.01 * np.arange(2000) + rng.normal(0, 0.3, 2000)
    values[::100] += 50
    assert noise(values) == pytest.approx(0.3, rel=0.1)


@pytest.mark.parametrize("few", [[], [1.0], [1.0, float("nan")]])
def test_too_little_says_nothing(few):
    assert np.isnan(noise(np.array(few)))
    assert np.isnan(slope(np.array(few[:1])))
    assert trend(np.array(few)) == 0


def test_an_outlier_stands_out_of_the_noise_before_it_and_the_noise_does_not():
    rng = np.random.default_rng(1)
    values = rng.normal(0, 0.1, 2000)
    assert not outliers(values).any()
    values[[400, 777, 1999]] += 3
    assert np.flatnonzero(outliers(values)).tolist() == [400, 777, 1999]


@given(st.lists(st.floats(-1, 1, width=32), min_size=20, max_size=20))
def test_a_rise_for_good_is_found_near_where_it_began(values):
    level = np.array(values) * 0.1
    level[14:] += 5
    point = rise_point(level)
    if noise(level) > 0:
        assert point is not None
        assert point <= 15


def test_a_level_that_falls_or_jumps_once_has_no_rise():
    rng = np.random.default_rng(2)
    quiet = rng.normal(0, 0.1, 20)
    assert rise_point(quiet) is None
    assert rise_point(quiet - np.arange(20)) is None
    assert rise_point(np.zeros(20)) is None


@given(st.integers(0, 9), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_medians_of_columns_leave_out_what_was_not_measured(rows, columns, seed):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((rows, columns)) < 0.3, np.nan, rng.normal(size=(rows, columns)))
    known = [column[np.isfinite(column)] for column in values.T]
    expected = [float(np.median(column)) if len(column) else np.nan for column in known]
    assert column_medians(values) == pytest.approx(expected, nan_ok=True)
    if len(values):
        assert np.array_equal(medians(values.T), np.median(values, axis=0), equal_nan=True)


def test_two_views_meet_at_the_steps_that_both_have():
    a, b = Series("loss.train", 1, None), Series("loss.train.eval", 1, None)
    for series, steps in ((a, [1, 2, 3, 5, 8]), (b, [2, 4, 8, 9])):
        values = np.array(steps, np.float32)[:, None] * (10 if series is b else 1)
        series.append(np.array(steps), np.zeros(len(steps)), values, None)
    first, second = together(View.of(a, 5), View.of(b, 4))
    assert (first.scalar.tolist(), second.scalar.tolist()) == ([2, 8], [20, 80])
    assert first.steps.tolist() == second.steps.tolist() == [2, 8]
    assert [len(part.steps) for part in together(View.of(a, 0), View.of(b, 4))] == [0, 0]
