import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nnwatch.tui.draw.smooth import Ema

columns = hnp.arrays(
    np.float64,
    st.integers(0, 700),
    elements=st.one_of(st.just(np.nan), st.just(np.inf), st.floats(-1e6, 1e6, width=32)),
)


def slow(values, weight):
    out, total, norm = [], 0.0, 0.0
    for value in values:
        total, norm = total * weight, norm * weight
        if np.isfinite(value):
            total, norm = total + value, norm + 1
            out.append(total / norm)
        else:
            out.append(np.nan)
    return np.array(out, np.float32)


@given(columns, st.sampled_from([0.5, 0.9, 0.99, 0.999]))
def test_it_is_the_debiased_average(values, weight):
    ours, theirs = Ema(weight).extend(values), slow(values, weight)
    size = max(1.0, float(np.abs(values[np.isfinite(values)]).max(initial=0)))
    assert np.allclose(ours, theirs, rtol=1e-4, atol=1e-4 * size, equal_nan=True)


@given(columns, st.integers(0, 700))
def test_in_two_pieces_as_in_one(values, cut):
    ema = Ema(0.9)
    pieces = np.concatenate([ema.extend(values[:cut]), ema.extend(values[cut:])])
    assert np.allclose(pieces, Ema(0.9).extend(values), rtol=1e-5, atol=1e-2, equal_nan=True)


def test_the_first_average_is_the_first_value():
    assert Ema(0.999).extend([7.0])[0] == np.float32(7.0)
