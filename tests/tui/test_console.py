"""What the script printed."""

from nnwatch.frame import Console, Run
from nnwatch.tui.transcript import Transcript, printed

from .driving import lines, opened, press, text, told
from .recording import START, Frames
from .sessions import SESSIONS


async def test_the_console_is_searched():
    async with opened("faulty") as (app, pilot):
        await press(app, pilot, "6", "slash", *"step 300", "enter")
        assert "step 300: val loss" in text(app)
        assert "loading" not in text(app)
        await press(app, pilot, "escape")
        assert "loading" in text(app)


async def test_a_progress_bar_is_one_line_that_changes_and_escape_sequences_are_not_shown():
    source = Frames([*SESSIONS["waiting"](), Console(START, "\x1b[31mred\x1b[0m\r\nepoch 1:  10%")])
    async with opened("waiting", source=source) as (app, pilot):
        await press(app, pilot, "6")
        assert "red\n" in text(app)
        assert lines(app)[-2].rstrip() == "epoch 1:  10%"
        source.waiting.append(Console(START, "\repoch 1:  90%"))
        await told(app, pilot, "90%")
        assert "10%" not in text(app)
        source.waiting.append(Console(START, "\repoch 1: 100%\nsaved\n"))
        await told(app, pilot, "epoch 1: 100%\nsaved")
        assert "90%" not in text(app)


def test_lines_are_those_a_terminal_shows():
    transcript = Transcript()
    assert transcript.take(["a\r\nb", "c\rd"]) == ["a"]
    assert transcript.unfinished == "d"
    assert transcript.take(["\r 50%\r"]) == []
    assert transcript.unfinished == " 50%"
    assert transcript.take(["\r100%\n\n"]) == ["100%", ""]
    assert transcript.unfinished == ""
    assert printed([Console(0.0, "one\n\x1b[2Ktwo"), Console(0.0, "\rthree")]) == ["one", "three"]


async def test_a_traceback_that_was_not_printed_is_shown_behind_the_output():
    frames = [frame for frame in SESSIONS["crashed"]() if not (isinstance(frame, Console) and "Trace" in frame.text)]
    async with opened("crashed", source=Frames(frames), size=(100, 40)) as (app, pilot):
        await press(app, pilot, "6")
        assert text(app).count("\nAssertionError: loss is nan") == 1
    async with opened("crashed", size=(100, 40)) as (app, pilot):
        await press(app, pilot, "6")
        assert text(app).count("\nAssertionError: loss is nan") == 1, "printed by the script itself"


async def test_a_headless_run_says_why_its_console_is_empty():
    run = Run("job", "1", "lab", [], "", "", START, headless=True)
    async with opened("waiting", source=Frames([run])) as (app, pilot):
        await press(app, pilot, "6")
        assert "its own terminal (headless run)" in text(app)
