from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nnwatch.tui.draw.pyramid import Pyramid


def slow(values, edges):
    """What a query means, record by record."""
    out = []
    for begin, end in pairwise(edges):
        part = values[begin:end]
        good = part[np.isfinite(part)]
        out.append(
            (good.min() if len(good) else np.nan, good.max() if len(good) else np.nan, not np.isfinite(part).all())
        )
    return tuple(map(np.array, zip(*out, strict=True)))


def noisy(n, seed=0, holes=0.01):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=n).astype(np.float32)
    values[rng.random(n) < holes] = np.nan
    values[rng.random(n) < holes] = np.inf
    return values


@given(st.integers(0, 400), st.integers(1, 40), st.integers(0, 9))
def test_a_short_column_is_exact(n, columns, seed):
    values = noisy(n, seed, 0.1)
    pyramid = Pyramid()
    pyramid.update(values)
    edges = np.sort(np.random.default_rng(seed).integers(0, n + 1, columns + 1))
    got = pyramid.query(values, edges)
    for ours, theirs in zip(got, slow(values, edges), strict=True):
        assert np.array_equal(ours, theirs.astype(ours.dtype), equal_nan=True)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 9_000), min_size=1, max_size=6), st.integers(2, 60))
def test_growth_in_pieces_gives_the_same_as_at_once(pieces, columns):
    values = noisy(sum(pieces))
    grown, whole = Pyramid(), Pyramid()
    for end in np.cumsum(pieces):
        grown.update(values[:end])
    whole.update(values)
    edges = np.linspace(0, len(values), columns + 1).astype(int)
    for ours, theirs in zip(grown.query(values, edges), whole.query(values, edges), strict=True):
        assert np.array_equal(ours, theirs, equal_nan=True)


def test_a_long_column_keeps_every_spike_and_every_hole():
    values = np.zeros(1_000_000, np.float32)
    values[123_456], values[777_777] = 9.0, np.nan
    pyramid = Pyramid()
    pyramid.update(values)
    edges = np.linspace(0, len(values), 227).astype(int)
    got = pyramid.query(values, edges)
    assert np.nanmax(got.high) == 9.0
    assert got.bad.sum() == 1
    width = 1_000_000 / 226
    assert abs(int(np.argmax(got.high)) - 123_456 / width) <= 1.25
    assert abs(int(np.argmax(got.bad)) - 777_777 / width) <= 1.25


def test_edges_move_by_less_than_a_quarter_column():
    values = np.arange(200_000, dtype=np.float32)
    pyramid = Pyramid()
    pyramid.update(values)
    edges = np.linspace(0, len(values), 101).astype(int)
    got = pyramid.query(values, edges)
    assert np.abs(got.low - edges[:-1]).max() <= 2_000 / 4


def test_wide_columns():
    values = np.stack([np.arange(5_000.0), -np.arange(5_000.0)], axis=1).astype(np.float32)
    pyramid = Pyramid()
    pyramid.update(values)
    got = pyramid.query(values, [0, 2_500, 5_000])
    assert got.high.shape == (2, 2)
    assert got.high[1, 0] == 4_999
    assert got.low[1, 1] == -4_999
