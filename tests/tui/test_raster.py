import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nnwatch.tui.draw.raster import DOTS, Trace, raster, trace

NONE = np.zeros(4, bool)
shares = hnp.arrays(np.float64, st.integers(2, 60), elements=st.one_of(st.just(np.nan), st.floats(0, 1)))


def rows(codes):
    return ["".join(map(chr, row)) for row in codes]


def test_a_rising_line_in_ascii():
    at = np.array([0.0, 1 / 3, 2 / 3, 1.0])
    codes, _, used = raster([trace(at, at, NONE, 4, ink=16)], 4, 4, "ascii")
    assert rows(codes) == ["   *", "  * ", " *  ", "*   "]
    assert used.sum() == 4


def test_braille_dots_of_one_cell():
    top, bottom = np.array([0, 3]), np.array([0, 3])
    codes, _, _ = raster([Trace(top, bottom, 16)], 1, 1, "braille")
    assert rows(codes) == ["⢁"]


def test_blocks_of_one_cell():
    codes, _, _ = raster([Trace(np.array([0, 1]), np.array([1, 1]), 16)], 1, 1, "block")
    assert rows(codes) == ["▙"]


def test_the_last_curve_takes_the_cell_dots_and_ink():
    under = Trace(np.array([0, 0]), np.array([3, 3]), 24)
    over = Trace(np.array([1, 9]), np.array([1, -1]), 16)
    codes, inks, _ = raster([under, over], 1, 1, "braille")
    assert rows(codes) == ["⠂"]
    assert inks[0, 0] == 16


def test_neighbours_are_joined():
    at = np.array([0.0, 1.0])
    curve = trace(at, at, np.zeros(2, bool), 8, ink=16)
    covered = set(range(curve.top[0], curve.bottom[0] + 1)) | set(range(curve.top[1], curve.bottom[1] + 1))
    assert covered == set(range(8))


def test_empty_columns_are_bridged_but_not_across_a_broken_one():
    at = np.array([0.0, np.nan, np.nan, 0.0])
    whole = trace(at, at, NONE, 4, ink=16)
    assert (whole.top <= whole.bottom).all()
    cut = trace(at, at, np.array([False, True, False, False]), 4, ink=16)
    assert (cut.top <= cut.bottom).tolist() == [True, False, False, True]


def test_nothing_is_drawn_before_the_first_and_behind_the_last_value():
    at = np.array([np.nan, 0.5, 0.5, np.nan])
    curve = trace(at, at, NONE, 4, ink=16)
    assert (curve.top <= curve.bottom).tolist() == [False, True, True, False]


@pytest.mark.parametrize("symbols", list(DOTS))
@given(low=shares, more=st.floats(0, 1), broken=st.integers(0, 2**60), height=st.integers(1, 12))
def test_every_value_is_covered_and_nothing_raises(symbols, low, more, broken, height):
    across, down = DOTS[symbols]
    low = np.resize(low, len(low) // across * across or across)
    high = np.minimum(low + more, 1)
    mask = np.array([bool(broken >> (i % 60) & 1) for i in range(len(low))])
    curve = trace(low, high, mask, height * down, ink=16)
    have = np.isfinite(low)
    assert (curve.top[have] <= curve.bottom[have]).all()
    expected = np.rint((1 - high[have]) * (height * down - 1))
    assert (curve.top[have] <= expected).all()
    codes, _, used = raster([curve], len(low) // across, height, symbols)
    assert codes.shape == used.shape == (height, len(low) // across)
    assert used.any() == have.any()
