"""The moment that is shown: keys that choose it, freezing, replay, segments."""

import numpy as np

from nnwatch.frame import Segment
from nnwatch.tui.widgets.chart import Chart

from .driving import lines, opened, press, settle, text
from .recording import START, Frames, block
from .sessions import SESSIONS


async def test_moving_the_cursor_is_scrubbing_on_every_screen():
    async with opened("faulty") as (app, pilot):
        await press(app, pilot, "left", "h", "h")
        step = app.moment.step
        assert 0 < step < 1200
        assert text(app).startswith("‖ FROZEN")
        await press(app, pilot, "l")
        assert app.moment.step > step
        await press(app, pilot, "6")
        assert "step 1200: val loss" not in text(app)
        await press(app, pilot, "end")
        assert app.moment.step is None
        assert "step 1200: val loss" in text(app)


async def test_space_freezes_live_while_data_flow():
    source = Frames(SESSIONS["faulty"]())
    async with opened("faulty", source=source) as (app, pilot):
        await press(app, pilot, "space")
        steps = range(1201, 1241)
        source.waiting.append(block(1, steps, [START + 50.0] * 40, [[2.0, 0.1, 64, 0.02, 0.001]] * 40))
        while app.history.last_step < 1240:
            await pilot.pause(0.01)
        await settle(app, pilot)
        assert "FROZEN at step 1,200  +40 steps, End = live" in text(app)
        await press(app, pilot, "end")
        assert "step 1,240" in lines(app)[0]
        assert "FROZEN" not in text(app)


async def test_one_step_back_and_on():
    async with opened("faulty") as (app, pilot):
        await press(app, pilot, "comma", "comma")
        assert app.moment.step == 1198
        await press(app, pilot, "full_stop")
        assert app.moment.step == 1199


async def test_home_and_goto():
    async with opened("faulty") as (app, pilot):
        await press(app, pilot, "home")
        assert app.moment.step == 0
        await press(app, pilot, "at", *"640", "enter")
        assert app.moment.step == 640
        await press(app, pilot, "at", *"99999", "enter")
        assert app.moment.step == 1200
        await press(app, pilot, "at", *"soon", "enter")
        assert app.moment.step == 1200
        await press(app, pilot, "at", *"5", "escape")
        assert app.moment.step == 1200


async def test_to_the_findings_and_back():
    async with opened("faulty") as (app, pilot):
        await press(app, pilot, "less_than_sign")
        assert app.moment.step == 60
        await press(app, pilot, "less_than_sign", "less_than_sign")
        assert app.moment.step == 3
        await press(app, pilot, "less_than_sign")
        assert app.moment.step == 3
        await press(app, pilot, "greater_than_sign")
        assert app.moment.step == 9


async def test_to_the_epochs_and_back():
    async with opened("faulty") as (app, pilot):
        await press(app, pilot, "left_curly_bracket")
        assert app.moment.step == 1101
        await press(app, pilot, "left_curly_bracket", "left_curly_bracket", "right_curly_bracket")
        assert app.moment.step == 1001
        assert "┴" in app.screen.query_one("#loss", Chart).text()[-1]


async def test_an_earlier_segment_can_be_shown():
    frames = [*SESSIONS["faulty"](), Segment(1, 0, 4242, START + 40, "resume", 1_200)]
    steps = np.arange(1_201, 1_301)
    frames.append(block(1, steps, START + steps * 0.05, [[0.5, 0.01, 64, 0.02, 0.001]] * 100, segment=1))
    async with opened("faulty", source=Frames(frames)) as (app, pilot):
        assert "step 1,300  segment 2" in lines(app)[0]
        assert "learning rate too high" not in text(app)
        await press(app, pilot, "S")
        assert "step 1,200" in lines(app)[0]
        assert "segment" not in lines(app)[0]
        assert "ERROR learning rate too high" in text(app)
        await press(app, pilot, "S")
        assert "segment 2" in lines(app)[0]


async def test_findings_are_those_of_the_moment():
    async with opened("faulty") as (app, pilot):
        await press(app, pilot, "at", *"50", "enter", "4")
        assert "too early to tell" in text(app) or "nothing wrong found" in text(app)
        await press(app, pilot, "end")
        assert "ERROR learning rate too high" in text(app)


async def test_a_replay_plays_pauses_and_goes_faster():
    async with opened("healthy", mode="replay") as (app, pilot):
        assert app.moment.step == 0
        assert "▶ REPLAY" in lines(app)[0]
        for _ in range(40):
            app.clock.now += 0.1
            app.tick()
        played = app.moment.step
        assert played > 0
        await press(app, pilot, "space")
        app.clock.now += 5
        await settle(app, pilot)
        assert app.moment.step == played
        assert "‖ paused" in text(app)
        speed = app.moment.speed
        await press(app, pilot, "right_square_bracket")
        assert app.moment.speed > speed
        await press(app, pilot, "left_square_bracket")
        assert app.moment.speed == speed
        await press(app, pilot, "end")
        assert app.moment.step == 3000
        assert "FINISHED" in lines(app)[0]


async def test_a_replay_does_not_tell_the_end_before_it_comes():
    async with opened("crashed", mode="replay") as (app, pilot):
        await press(app, pilot, "at", *"100", "enter")
        assert "AssertionError" not in text(app)
        await press(app, pilot, "6")
        assert "AssertionError" not in text(app)
        await press(app, pilot, "end")
        assert "AssertionError" in text(app)
