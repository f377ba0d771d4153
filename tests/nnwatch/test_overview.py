"""Overviews: a long run in a few buckets, whose extremes are its own."""

import itertools
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnwatch import chapter
from nnwatch.archive import Archive
from nnwatch.history import History
from nnwatch.overview import Buckets

from .chapters import plain, write


@pytest.mark.usefixtures("short_chapters")
def test_overviews_reach_over_the_whole_run_in_a_few_frames(tmp_path):
    path = write(tmp_path / "s.nnw", 120)
    fd = os.open(path, os.O_RDONLY)
    archive = Archive(fd, path.stat().st_size)
    levels = list(archive.covering())
    depths = [depth for depth, _ in levels]
    assert depths == sorted(depths)
    assert max(depths) >= 2
    assert all(depths.count(depth) < chapter.SPAN for depth in set(depths) if depth < max(depths))
    history = History()
    for frame in plain(path.read_bytes()[: archive.newest]):
        history.apply(frame)
    loss = history.tracks[0, 0]["loss.train"]
    end = 0
    for _, level in reversed(levels):
        for place in level.places:
            buckets = archive.buckets(place)
            if place.schema != 1:
                continue
            assert buckets is not None
            for i, step in enumerate(buckets.steps):
                begin, end = end, loss.until(int(step))
                part = loss.scalar[begin:end]
                assert buckets.last[0, i] == part[-1] or np.isnan(part[-1])
                assert buckets.measured[0, i] == np.count_nonzero(~np.isnan(part))
                if not np.isnan(part).all():
                    assert buckets.smallest[0, i] == np.nanmin(part)
                    assert buckets.largest[0, i] == np.nanmax(part)
                    assert buckets.mean[0, i] == pytest.approx(np.nanmean(part), rel=1e-5, abs=1e-6)
    assert end == len(loss)
    os.close(fd)


@given(
    st.lists(st.floats(width=32), min_size=1, max_size=300),
    st.lists(st.integers(0, 300), max_size=4),
)
def test_buckets_of_buckets_lose_no_extreme_and_no_record(values, cuts):
    column = np.array([values], np.float32)
    steps = np.arange(len(values))
    bounds = sorted({0, len(values), *(cut for cut in cuts if cut < len(values))})
    parts = [Buckets.of(steps[a:b], steps * 0.5, column[:, a:b]) for a, b in itertools.pairwise(bounds)]
    whole = Buckets.together([part._replace(times=part.times[: len(part.steps)]) for part in parts])
    known = column[~np.isnan(column)]
    assert whole.measured.sum() == len(known)
    assert whole.steps[-1] == len(values) - 1
    if len(known):
        assert np.nanmin(whole.smallest) == known.min()
        assert np.nanmax(whole.largest) == known.max()
    back = Buckets.read(whole.frame(1, 0, 0))
    assert back is not None
    for read, made in zip(back, whole, strict=True):
        assert np.array_equal(np.asarray(read), np.asarray(made), equal_nan=True)
