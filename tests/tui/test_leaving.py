"""Ways to leave, and what becomes of the training."""

import pytest

from nnwatch.frame import End
from nnwatch.tui.screens.leave import Leave

from .driving import Training, opened, press, settle
from .recording import START, Frames
from .sessions import SESSIONS


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
async def test_an_attached_screen_just_leaves(key):
    async with opened("faulty") as (app, pilot):
        await press(app, pilot, key)
        assert app.return_value == "left"


@pytest.mark.parametrize("keys", [("enter",), ("d",)])
async def test_detach_is_the_default(keys):
    training = Training()
    async with opened("faulty", mode="live", control=training) as (app, pilot):
        await press(app, pilot, "q")
        assert isinstance(app.screen, Leave)
        await press(app, pilot, *keys)
        assert (app.return_value, training.asked) == ("detach", [])


@pytest.mark.parametrize("key", ["escape", "q", "ctrl+c"])
async def test_one_may_stay(key):
    training = Training()
    async with opened("faulty", mode="live", control=training) as (app, pilot):
        await press(app, pilot, "ctrl+c", key)
        assert not isinstance(app.screen, Leave)
        assert (app.return_value, training.asked) == (None, [])


async def test_stop_interrupts_once_and_leaves_when_the_run_has_ended():
    training, source = Training(), Frames(SESSIONS["faulty"]())
    async with opened("faulty", mode="live", control=training, source=source) as (app, pilot):
        await press(app, pilot, "q", "s")
        assert (app.return_value, training.asked) == (None, ["interrupt"])
        source.waiting.append(End(START + 60, "killed", signal=2))
        while app.history.end is None:
            await pilot.pause(0.01)
        await settle(app, pilot)
        assert (app.return_value, training.asked) == ("stop", ["interrupt"])


async def test_a_script_that_does_not_stop_gets_sigterm_and_then_is_left():
    training = Training()
    async with opened("faulty", mode="live", control=training) as (app, pilot):
        await press(app, pilot, "q", "s")
        app.clock.now += 11
        await settle(app, pilot)
        assert (app.return_value, training.asked) == (None, ["interrupt", "terminate"])
        app.clock.now += 11
        await settle(app, pilot)
        assert (app.return_value, training.asked) == ("stop", ["interrupt", "terminate"])


async def test_kill():
    training = Training()
    async with opened("faulty", mode="live", control=training) as (app, pilot):
        await press(app, pilot, "q", "down", "down", "enter")
        assert training.asked == ["kill"]
        app.clock.now += 11
        await settle(app, pilot)
        assert app.return_value == "kill"


async def test_after_the_end_q_just_leaves():
    training = Training()
    async with opened("healthy", mode="live", control=training) as (app, pilot):
        await press(app, pilot, "q")
        assert (app.return_value, training.asked) == ("left", [])
