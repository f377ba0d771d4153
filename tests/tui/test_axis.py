"""The time on the clock along the charts: over pauses, midnights, changes of the clocks, segments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnwatch.frame import Segment
from nnwatch.tui.axis import ClockAxis, StepAxis, through, whole
from nnwatch.tui.draw.clock import clock_ticks
from nnwatch.tui.draw.scale import fit
from nnwatch.tui.lens import Lens
from nnwatch.tui.moment import Timeline
from nnwatch.tui.widgets.chart import Chart

from .driving import opened, press, text
from .recording import START, Frames, block
from .sessions import SESSIONS

NOON = 1_790_078_400.0
"""2026-09-22 12:00:00 UTC."""
HOUR = 3_600.0


@pytest.mark.parametrize(
    ("seconds", "most", "names"),
    [
        (1, 4, ["12:00:00.0", "12:00:00.5", "12:00:01.0"]),
        (12, 4, ["12:00:00", "12:00:05", "12:00:10"]),
        (50 * 60, 4, ["12:00", "12:15", "12:30", "12:45"]),
        (14 * HOUR, 5, ["12:00", "15:00", "18:00", "21:00", "23 Sep"]),
        (50 * HOUR, 5, ["12:00", "23 Sep", "12:00", "24 Sep", "12:00"]),
        (20 * 24 * HOUR, 4, ["28 Sep", "5 Oct", "12 Oct"]),
    ],
)
def test_ticks_are_round_on_the_clock(seconds, most, names):
    assert [name for _, name in clock_ticks(NOON, NOON + seconds, most)] == names


def test_ticks_are_those_of_the_local_clock(zone):
    zone("Asia/Kolkata")  # half an hour off
    assert clock_ticks(NOON, NOON + 4 * HOUR, 5)[0] == (NOON + HOUR / 2, "18:00")


def test_hours_stay_whole_where_the_clocks_change(zone):
    zone("Europe/Berlin")
    spring = 1_774_735_200.0  # 2026-03-28 23:00 in Berlin; at 2:00 it becomes 3:00
    assert [name for _, name in clock_ticks(spring, spring + 5 * HOUR, 6)] == [
        "23:00",
        "29 Mar",
        "01:00",
        "03:00",
        "04:00",
        "05:00",
    ]


@given(st.floats(1e9, 3e9), st.floats(0, 1e8), st.integers(1, 20))
def test_ticks_grow_and_lie_inside(first, span, most):
    found = clock_ticks(first, first + span, most)
    times = [time for time, _ in found]
    assert times == sorted(set(times))
    assert all(first <= time <= first + span for time in times)
    assert len(found) <= most + 2


def paused(steps=100, pause=HOUR):
    """A step a second, and half way a pause."""
    n = np.arange(1, steps + 1)
    return Timeline(n, NOON + n + pause * (n > steps // 2))


def test_steps_stand_at_their_times_and_a_pause_is_a_stretch_without_any():
    timeline = paused()
    axis = whole(Lens(clock=True), timeline, 1, 100, 200)
    assert isinstance(axis, ClockAxis)
    seconds = axis.buckets.step
    assert axis.column(51) - axis.column(50) == pytest.approx((HOUR + 1) / seconds, abs=1)
    pauses = axis.pauses()
    assert not pauses[[axis.column(1), axis.column(50), axis.column(51), axis.column(100)]].any()
    assert pauses[axis.column(50) + 1 : axis.column(51)].all()
    assert pauses.sum() == axis.column(51) - axis.column(50) - 1


def test_steps_rarer_than_columns_are_no_pause():
    assert not whole(Lens(clock=True), paused(10, pause=0), 1, 10, 200).pauses().any()


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60), st.integers(2, 90))
def test_every_step_is_in_the_column_of_its_time(gaps, columns):
    times = NOON + np.cumsum(gaps)
    timeline = Timeline(np.arange(1, len(gaps) + 1), times)
    axis = ClockAxis(fit(times[0], times[-1], columns), timeline)
    edges = axis.edges()
    assert (np.diff(edges) >= 0).all()
    for step in timeline.steps:
        assert edges[axis.column(step)] <= step < edges[axis.column(step) + 1]


def test_the_lens_shows_the_same_steps_on_both_axes():
    timeline = paused(1_000)
    for clock in (False, True):
        axis = through(Lens(span=100, right=900, clock=clock), timeline, 1, 1_000, 60)
        assert isinstance(axis, ClockAxis if clock else StepAxis)
        assert 0 <= axis.column(805) < axis.column(900) < 60


async def test_the_axis_is_of_steps_or_of_the_clock():
    async with opened("faulty") as (app, pilot):
        chart = app.screen.query_one("#loss", Chart)
        assert "500" in chart.text()[-1]
        await press(app, pilot, "x")
        assert "14:13:30" in chart.text()[-1]
        assert "21 Sep" in chart.text()[0]
        await press(app, pilot, "at", *"14:13:32", "enter")
        assert app.moment.step == pytest.approx(500, abs=1)
        assert f"FROZEN at step {app.moment.step} (14:13:3" in text(app)
        await press(app, pilot, "at", *"-10s", "enter")
        assert app.moment.step == pytest.approx(700, abs=1)
        await press(app, pilot, "l", "x")
        assert app.moment.step > 700
        assert "500" in chart.text()[-1]


def resumed():
    """Twelve hundred steps, three hours of nothing, and a segment that goes on, itself with a pause."""
    steps = np.arange(1_201, 1_301)
    later = START + 3 * HOUR + (steps - 1_200) * 0.5 + 600 * (steps > 1_250)
    frames = [*SESSIONS["faulty"](), Segment(1, 0, 4242, START + 3 * HOUR, "resume", 1_200)]
    return [*frames, block(1, steps, later, [[0.5, 0.01, 64, 0.02, 0.001]] * 100, segment=1)]


async def test_all_segments_lie_on_the_clock_with_the_pauses_between_them():
    async with opened("faulty", size=(120, 40), source=Frames(resumed())) as (app, pilot):
        chart = app.screen.query_one("#loss", Chart)
        assert "┃" in chart.text()[-1]
        await press(app, pilot, "x")
        assert all(word in chart.text()[-1] for word in ("15:00", "17:00", "····", "┃"))
        drawn = [{x for x, char in enumerate(row[8:]) if char != " "} for row in chart.text()[1:-1]]
        columns = set().union(*drawn)
        assert 0 in columns
        assert max(columns) > 50
        assert not columns & set(range(5, 50))


async def test_the_cursor_walks_from_one_segment_into_the_other_on_the_clock():
    async with opened("faulty", size=(120, 40), source=Frames(resumed())) as (app, pilot):
        await press(app, pilot, "x")
        while app.moment.segment is None:
            before = app.moment.at(app.presenter.timeline)
            await press(app, pilot, "h")
            assert app.moment.segment == 0 or app.moment.step < before
        assert app.moment.step == 1_200
        assert "step 1,200" in text(app)
        assert "segment 2" not in text(app)
        await press(app, pilot, "l")
        assert app.moment.segment is None
        assert app.moment.step == 1_201
        assert "segment 2" in text(app)


async def test_a_time_on_the_clock_is_found_in_the_segment_that_was_running_then():
    async with opened("faulty", size=(120, 40), source=Frames(resumed())) as (app, pilot):
        await press(app, pilot, "x", "at", *"14:13:32", "enter")
        assert app.moment.segment == 0
        assert app.moment.step == pytest.approx(500, abs=1)
        await press(app, pilot, "at", *"-1s", "enter")
        assert app.moment.segment is None
        assert app.moment.step == pytest.approx(1_298, abs=1)
        await press(app, pilot, "at", *"never", "enter")
        assert app.moment.step == pytest.approx(1_298, abs=1)


def test_another_segment_keeps_its_own_steps_on_the_axis():
    first, second = paused(pause=0), Timeline(np.arange(101, 151), NOON + HOUR + np.arange(50.0))
    axis = whole(Lens(clock=True), second, 101, 150, 300, (first,))
    assert isinstance(axis, ClockAxis)
    assert axis.buckets.first <= NOON + 1
    assert axis.buckets.last >= NOON + HOUR + 49
    mine, other = axis.edges(), axis.of(first).edges()
    assert mine[axis.column(120)] <= 120 < mine[axis.column(120) + 1]
    assert other[axis.of(first).column(40)] <= 40 < other[axis.of(first).column(40) + 1]
    assert axis.of(first).column(100) < axis.column(101)
    pauses = np.asarray(axis.pauses())
    assert pauses[axis.of(first).column(100) + 1 : axis.column(101)].all()
    assert not pauses[axis.column(101) :].any()
    zoomed = through(Lens(span=20, clock=True), second, 101, 150, 60, (first,))
    assert zoomed.edges()[0] > 101
