import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnwatch.tui.draw.scale import Buckets, Scale, fit, nice, scale, ticks, window

values = st.floats(-1e12, 1e12, allow_nan=False).filter(lambda v: v == 0 or abs(v) > 1e-9)


@given(st.floats(1e-12, 1e12))
def test_nice_is_not_below_and_at_most_a_third_more(value):
    assert value * (1 - 1e-9) <= nice(value) <= value * 1.34


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(2, 400))
def test_fit_shows_all_steps_and_uses_most_of_the_width(first, span, columns):
    x = fit(first, first + span, columns)
    assert x.column(first) >= 0
    assert x.column(first + span) < columns
    if span >= columns:
        assert x.column(first + span) - x.column(first) >= columns // 2


@given(st.integers(1, 10**6), st.integers(2, 300))
def test_an_appended_step_keeps_the_edges_or_makes_them_much_wider(last, columns):
    before, after = fit(0, last, columns), fit(0, last + 1, columns)
    assert after == before or after.step >= before.step * 1.15


@given(st.integers(0, 10**6), st.integers(0, 10**5), st.integers(1, 300))
def test_edges_say_the_same_as_columns(first, span, columns):
    x = fit(first, first + span, columns)
    edges = x.edges()
    assert len(edges) == columns + 1
    for step in (first, first + span // 2, first + span):
        assert int(np.searchsorted(edges, step, side="right")) - 1 == x.column(step)


def test_window_moves_in_jumps():
    seen = {window(last, 1_000, 100).start for last in range(5_050, 5_150)}
    assert len(seen) == 2
    assert all(window(last, 1_000, 100).column(last) < 100 for last in range(5_050, 5_150))


@given(values, values, st.integers(1, 12))
def test_ticks_lie_inside(a, b, most):
    low, high = min(a, b), max(a, b)
    if high > low:
        found = ticks(low, high, most)
        assert len(found) <= most + 2
        slack = (high - low) * 1e-6
        assert found == [low] or all(low - slack <= value <= high + slack for value in found)


@given(st.sampled_from(["linear", "log", "symlog"]), values, values)
def test_a_scale_holds_its_data_between_0_and_1_and_keeps_their_order(kind, a, b):
    low, high = min(a, b), max(a, b)
    axis = scale(kind, low, high)
    share = axis.share([low, high])
    assert -1e-6 <= share[0] <= share[1] <= 1 + 1e-6
    assert axis.ticks(6)


def test_a_log_axis_of_data_with_zero_becomes_symlog():
    assert scale("log", 0.0, 10.0).kind == "symlog"
    assert scale("log", 1e-5, 10.0).kind == "log"


def test_limits_stay_while_the_data_fill_half_of_them():
    before = scale("linear", 0.0, 10.0)
    assert scale("linear", 1.0, 9.0, before) is before
    assert scale("linear", 0.0, 3.0, before).high < 10
    assert scale("linear", 0.0, 11.0, before).high >= 11


def test_a_flat_curve_gets_room_around_it():
    axis = scale("linear", 0.1, 0.1)
    assert axis.low < 0.1 < axis.high


@pytest.mark.parametrize(("low", "high", "expected"), [(1e-4, 1.0, 1e-3), (0.5, 300.0, 10.0)])
def test_log_ticks_are_decades(low, high, expected):
    assert expected in Scale("log", low, high).ticks(6)


def test_nan_stays_nan():
    assert np.isnan(Scale("linear", 0, 1).share(np.nan))


def test_columns_of_buckets():
    x = Buckets(start=2, step=5.0, columns=4)
    assert [x.column(step) for step in (9, 10, 14, 15, 29, 30)] == [-1, 0, 0, 1, 3, 4]
    assert (x.first, x.last) == (10.0, 30.0)
