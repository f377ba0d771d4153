import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats, integers, just, lists

from nnwatch.frame import FieldSpec, Schema, Segment
from nnwatch.history import History
from nnwatch.tui.column import Columns

from .recording import block


def column(made, name, columns=None):
    found = (columns or Columns()).get(made.main, name)
    assert found is not None
    return found


def history(*fields, rows=()):
    """A history with one schema of these fields and the rows (step, numbers)."""
    made = History()
    made.apply(Segment(0, 0, 1, 0.0))
    made.apply(Schema(1, "step", [FieldSpec(name, width) for name, width in fields]))
    feed(made, rows)
    return made


def feed(made, rows):
    if rows:
        steps = [row[0] for row in rows]
        made.apply(block(1, steps, [float(step) for step in steps], [row[1:] for row in rows]))


def test_a_column_grows_with_its_series():
    made = history(("loss.train", 1), rows=[(1, 3.0), (2, 2.0)])
    columns = Columns()
    assert column(made, "loss.train", columns).values.tolist() == [3.0, 2.0]
    feed(made, [(3, 1.0)])
    grown = column(made, "loss.train", columns)
    assert grown.values.tolist() == [3.0, 2.0, 1.0]
    assert [grown.at(step) for step in (None, 2, 0)] == [1.0, 2.0, None]


def test_what_is_not_recorded_is_no_column():
    assert Columns().get(history(("loss.train", 1)).main, "loss.train") is None
    assert Columns().get(history().main, "grad.norm") is None


def test_the_update_ratio_is_the_median_of_what_was_measured():
    made = history(("update.ratio", 3), rows=[(1, 1e-3, 3e-3, np.nan), (2, np.nan, np.nan, np.nan)])
    values = column(made, "update.ratio").values
    assert values.tolist() == [pytest.approx(2e-3)]


def test_the_rate_is_samples_a_second():
    made = history(("step.seconds", 1), ("batch.size", 1), rows=[(1, 0.5, 32.0), (2, 0.0, 32.0)])
    values = column(made, "samples.rate").values
    assert values.tolist() == [64]
    assert column(made, "steps.rate").values[0] == 2


def test_sureness_is_the_mean_of_the_histogram():
    counts = np.zeros(40)
    counts[0] = counts[39] = 1
    made = history(("confidence.val", 40), rows=[(1, *counts), (2, *np.zeros(40))])
    values = column(made, "sure.val").values
    assert values.tolist() == [pytest.approx(0.5)]


def test_nan_is_kept_where_it_is_news_and_left_out_where_it_means_not_measured():
    made = history(("loss.train", 1), ("watch.cost", 1), rows=[(1, 2.0, np.nan), (2, np.nan, 0.01)])
    columns = Columns()
    assert np.isnan(column(made, "loss.train", columns).at(2))
    assert column(made, "watch.cost", columns).steps.tolist() == [2]
    feed(made, [(3, 1.0, np.nan), (4, 1.0, 0.02)])
    assert column(made, "watch.cost", columns).steps.tolist() == [2, 4]


def test_an_evaluation_is_one_point_and_changes_while_its_batches_come():
    made = history(("loss.val", 1), ("val.size", 1), rows=[(10, 1.0, 4.0)])
    columns = Columns()
    assert column(made, "loss.val", columns).values.tolist() == [1.0]
    feed(made, [(10, 4.0, 8.0), (20, 2.0, 4.0)])
    assert column(made, "loss.val", columns).values.tolist() == [3.0, 2.0]
    assert columns.get(made.main, "accuracy.val") is None


def test_smoothed_columns_follow():
    made = history(("loss.train", 1), rows=[(1, 4.0)])
    columns = Columns()
    assert column(made, "loss.train", columns).smoothed(0.5).values.tolist() == [4.0]
    feed(made, [(2, 1.0)])
    assert column(made, "loss.train", columns).smoothed(0.5).values.tolist() == [4.0, 2.0]


def test_extremes_between_steps_end_at_the_moment():
    made = history(("loss.train", 1), rows=[(1, 5.0), (2, 1.0), (3, 9.0), (4, np.nan)])
    grown = column(made, "loss.train")
    found = grown.extremes([1, 3, 5], until=3)
    assert found.low.tolist() == [1.0, 9.0]
    assert found.high.tolist() == [5.0, 9.0]
    assert found.bad.tolist() == [False, False]
    assert grown.extremes([1, 3, 5]).bad.tolist() == [False, True]


@settings(max_examples=60, deadline=None)
@given(
    values=lists(floats(-4, 4, width=16) | just(math.nan) | just(math.inf), min_size=30, max_size=120),
    cuts=lists(integers(1, 120), max_size=12),
)
def test_what_is_shown_while_a_column_grows_is_what_is_shown_of_the_whole(values, cuts):
    made, columns = history(("loss.train", 1)), Columns()
    edges, begin = np.arange(0, 160, 8), 0
    for cut in [*sorted(min(cut, len(values)) for cut in cuts), len(values)]:
        feed(made, [(step + 1, values[step]) for step in range(begin, cut)])
        begin = max(cut, begin)
        grown = column(made, "loss.train", columns).extremes(edges) if begin else None
        whole = column(made, "loss.train").extremes(edges) if begin else None
        for part, other in zip(grown or (), whole or (), strict=True):
            assert np.array_equal(part, other, equal_nan=True)


def test_a_point_that_changes_no_picture_is_seen_to_change_none():
    made, columns = history(("loss.train", 1), rows=[(1, 3.0), (2, 1.0)]), Columns()
    edges = np.array([0, 10, 20])
    before = column(made, "loss.train", columns).extremes(edges)
    feed(made, [(3, 2.0)])
    assert column(made, "loss.train", columns).extremes(edges) is before
    feed(made, [(4, 4.0)])
    assert column(made, "loss.train", columns).extremes(edges).high[0] == 4
