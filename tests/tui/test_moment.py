from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnwatch.tui.lens import Lens
from nnwatch.tui.moment import SPEEDS, Moment, Timeline

STEPS = Timeline(np.arange(1, 101), np.arange(1_001.0, 1_101.0))


def playing(seconds, moment=None, tick=0.1):
    """A moment after so many seconds of play."""
    moment = moment or Moment(replay=True)
    for i in range(round(seconds / tick) + 1):
        moment.advance(50.0 + i * tick, STEPS, complete=True)
    return moment


def test_a_replay_starts_at_step_0_and_unfolds():
    moment = Moment(replay=True)
    moment.advance(0.0, STEPS, complete=True)
    assert (moment.at(STEPS), moment.playing) == (0, True)
    middle = playing(10)
    assert 10 < middle.at(STEPS) < 40
    assert middle.seen == middle.at(STEPS)


def test_a_replay_stops_at_its_end_and_starts_again_by_space():
    moment = playing(120)
    assert (moment.at(STEPS), moment.playing) == (100, False)
    moment.toggle(STEPS)
    assert (moment.at(STEPS), moment.playing) == (0, True)


def test_a_replay_of_a_live_run_waits_at_the_head():
    moment = Moment(replay=True)
    for i in range(2_000):
        moment.advance(i * 0.1, STEPS, complete=False)
    assert (moment.at(STEPS), moment.playing) == (100, True)


def test_pause_keeps_the_moment_and_no_time_is_lost_afterwards():
    moment = playing(10)
    at = moment.at(STEPS)
    moment.toggle(STEPS)
    moment.advance(500.0, STEPS, complete=True)
    assert moment.at(STEPS) == at
    moment.toggle(STEPS)
    moment.advance(900.0, STEPS, complete=True)
    moment.advance(900.1, STEPS, complete=True)
    assert moment.at(STEPS) - at <= 1


@pytest.mark.parametrize(("length", "speed"), [(4.0, 0.1), (40.0, 1.0), (36_000.0, 1_000.0)])
def test_the_speed_it_starts_with_makes_a_pleasant_replay(length, speed):
    moment = Moment(replay=True)
    moment.advance(0.0, Timeline(np.array([1, 2]), np.array([0.0, length])), complete=True)
    assert moment.speed == speed


def test_speed_stays_within_its_bounds():
    moment = playing(0)
    for _ in range(40):
        moment.faster(1)
    assert moment.speed == SPEEDS[-1]
    for _ in range(40):
        moment.faster(-1)
    assert moment.speed == SPEEDS[0]


def test_live_is_the_head_until_frozen():
    moment = Moment(replay=False)
    assert (moment.step, moment.at(STEPS), moment.seen) == (None, 100, None)
    moment.toggle(STEPS)
    assert (moment.step, moment.standing) == (100, True)
    longer = Timeline(np.arange(1, 201), np.arange(1_001.0, 1_201.0))
    assert moment.at(longer) == 100
    moment.to_end(longer)
    assert (moment.step, moment.at(longer)) == (None, 200)


def test_the_end_of_a_replay_is_its_last_step_with_all_that_was_recorded():
    moment = playing(1)
    moment.to_end(STEPS)
    assert (moment.at(STEPS), moment.seen, moment.playing) == (100, 100, False) or moment.seen is None


def test_an_empty_timeline_is_step_0():
    nothing = Timeline()
    moment = Moment(replay=True)
    moment.advance(0.0, nothing, complete=True)
    moment.go(7, nothing)
    moment.toggle(nothing)
    moment.to_end(nothing)
    assert moment.at(nothing) == nothing.beside(3, 1) == nothing.step_at(5.0) == 0


@given(st.lists(st.integers(1, 5), min_size=1, max_size=60), st.integers(-5, 400), st.integers(-3, 3))
def test_beside_is_a_recorded_step_or_0(gaps, step, by):
    steps = np.cumsum(gaps)
    timeline = Timeline(steps, steps * 2.0)
    found = timeline.beside(step, by)
    assert found == 0 or found in steps
    if by > 0 and step < steps[-1]:
        assert found > step
    if by < 0 and step > 0:
        assert found < step


def test_zoom_keeps_its_centre_and_fits_again():
    lens = Lens()
    lens.zoom(0.5, 500, 0, 1_000)
    assert (lens.span, lens.right) == (500, 750)
    lens.zoom(2.0, 500, 0, 1_000)
    assert lens.span is None


def test_zoom_at_the_head_follows_it():
    lens = Lens()
    lens.zoom(0.5, 1_000, 0, 1_000)
    assert (lens.span, lens.right) == (500, None)


def test_panning_stops_at_both_ends():
    lens = Lens(span=100, right=500)
    for _ in range(50):
        lens.pan(-0.25, 0, 1_000)
    assert lens.right == 100
    for _ in range(50):
        lens.pan(0.25, 0, 1_000)
    assert lens.right is None


def test_smoothing_grows_with_the_run_until_it_is_chosen():
    lens = Lens()
    assert [lens.weight(n) for n in (10, 500, 5_000, 50_000, 10**6)] == [None, 0.8, 0.9, 0.99, 0.999]
    seen = []
    for _ in range(6):
        lens.next_smoothing()
        seen.append(lens.weight(10))
    assert seen == [None, 0.8, 0.9, 0.99, 0.999, None]


def local(hour, minute=0, second=0):
    """Seconds since 1970 of a time of day, on a day far from any change of the clocks."""
    return datetime(2026, 1, 20, hour, minute, second).timestamp()


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("120", 120),
        ("1,200", 1200),
        ("-1h", 180),
        ("-90m", 150),
        ("-0.5h", 210),
        ("-2d", 0),
        ("01:00", 60),
        ("1:00:30", 60),
        ("04:00", 240),
        ("05:00", 0),  # yesterday: before the run
        ("25:00", None),
        ("soon", None),
        ("-3", None),
    ],
)
def test_a_moment_in_words(text, step):
    """240 steps, one a minute, from 00:01 to 04:00."""
    steps = np.arange(1, 241)
    timeline = Timeline(steps, local(0) + 60.0 * steps)
    assert timeline.find(text) == step


def test_an_empty_run_knows_steps_alone():
    assert Timeline().find("12") == 12
    assert Timeline().find("-2h") is None
