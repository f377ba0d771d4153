"""What the script printed."""

from nnwatch.frame import Console, Run

from .driving import opened, press, text
from .recording import START, Frames
from .sessions import SESSIONS


async def test_the_console_is_searched():
    async with opened("faulty") as (app, pilot):
        await press(app, pilot, "6", "slash", *"step 300", "enter")
        assert "step 300: val loss" in text(app)
        assert "loading" not in text(app)
        await press(app, pilot, "escape")
        assert "loading" in text(app)


async def test_the_console_shows_no_escape_sequences():
    frames = [*SESSIONS["waiting"](), Console(START, "\x1b[31mred\x1b[0m\rdone\r\n")]
    async with opened("waiting", source=Frames(frames)) as (app, pilot):
        await press(app, pilot, "6")
        assert "red\ndone" in text(app)


async def test_a_headless_run_says_why_its_console_is_empty():
    run = Run("job", "1", "lab", [], "", "", START, headless=True)
    async with opened("waiting", source=Frames([run])) as (app, pilot):
        await press(app, pilot, "6")
        assert "its own terminal (headless run)" in text(app)
