"""Every screen and every key, under Textual's pilot."""

import asyncio
from xml.etree import ElementTree

import numpy as np
import pytest
from msgspec import structs
from textual.widgets import DataTable, Input

from nnwatch.advisor.case import frames as case_frames
from nnwatch.advisor.engine import Advisor
from nnwatch.frame import Console, End, FieldSpec, Finding, Run, Schema, Segment
from nnwatch.history import History
from nnwatch.tui.library import Library, RunRow
from nnwatch.tui.screens.help import Help
from nnwatch.tui.screens.layers import LayerScreen
from nnwatch.tui.screens.leave import Leave
from nnwatch.tui.screens.metrics import Metrics, MetricScreen
from nnwatch.tui.screens.page import Page
from nnwatch.tui.widgets.chart import Chart
from nnwatch.tui.widgets.findings import FindingTree
from nnwatch.tui.widgets.heat_table import HeatTable
from nnwatch.tui.widgets.overlay import Overlay

from .driving import Training, lines, opened, press, settle, text
from .sessions import SESSIONS, START, Frames, block

RUNS = [
    RunRow("digits-1", "running", START, 1200, 2.3, "error learning rate too high", "/a/digits-1.nnw"),
    RunRow("digits-0", "finished", START, None, None, "", "/a/digits-0.nnw"),
]


def read(path):
    """A run that is there, or one whose recording is gone."""
    if path.endswith("digits-0.nnw"):
        raise ValueError("/a/digits-0.nnw: cannot be read")
    history = History()
    for frame in SESSIONS["overfitting" if path.endswith("over.nnw") else "faulty"]():
        history.apply(frame)
    return history


def compared(paths):
    return f"compared {' '.join(paths)}"


TOO_HIGH = {
    "facts": {"planned_steps": 400, "classes": 10},
    "lr": "1x100",
    "loss.train": "2.31~0.02x100",
    "update.ratio": {"fc1.weight 64x64": "0.2x2 1e-4x98", "fc2.weight 10x64": "0.1x2 1e-4x98"},
}
"""Nothing but a large first update and a loss that stays."""
LIBRARY = Library(lambda: RUNS, read, compared)


async def test_the_overview_says_what_is_wrong_and_what_to_change():
    async with opened("faulty") as (app, _):
        shown = lines(app)
        assert shown[0].startswith("● RUNNING  digits-1121-1104  step 1,200")
        assert shown[1].startswith("✗ ERROR learning rate too high")
        assert "→ SGD(lr=0.1 → 0.0035) at train.py:41" in shown[2]
        assert shown[-1].rstrip().endswith("? Help  q Quit")
        for word in (
            "accuracy",
            "learning rate",
            "update/weight",
            "87 × guide",
            "gradient norm",
            "samples/s",
            "ETA",
            "of a step",
        ):
            assert word in text(app)


async def test_the_loss_has_eleven_lines_at_80_by_24():
    async with opened("healthy") as (app, _):
        assert app.screen.query_one("#loss", Chart).size.height >= 11


async def test_the_wide_overview_has_charts_for_the_other_metrics():
    async with opened("overfitting", size=(140, 40)) as (app, _):
        assert all(chart.display and chart.size.height >= 6 for chart in app.screen.query(Chart))
        assert "1 overview  2 layers  3 confidence" in lines(app)[0]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("1", ["loss", "train"]),
        ("2", ["27 layers, worst first", "update", "blocks.*.relu ×6"]),
        ("3", ["overconfident", "█ right", "▒ wrong"]),
        ("4", ["learning rate too high (head.weight)", "↳ ! warn dead units", "Do this", "2 rules could not judge"]),
        ("5", ["this machine", "GPU: no NVIDIA driver", "seconds a step", "waiting for data"]),
        ("6", ["what the script printed", "loading 50,000 images", "step 1200: val loss"]),
        ("7", ["digits-0", "✓ finished", "error learning rate too high"]),
    ],
)
async def test_digits_open_the_screens(key, words):
    async with opened("faulty", size=(100, 30), library=LIBRARY) as (app, pilot):
        await press(app, pilot, key)
        await app.workers.wait_for_complete()
        await settle(app, pilot)
        for word in words:
            assert word in text(app)


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


async def test_goto_takes_times():
    async with opened("faulty") as (app, pilot):
        await press(app, pilot, "at", *"-10s", "enter")
        assert app.moment.step == pytest.approx(700, abs=1)


async def test_the_axis_shows_steps_or_time():
    async with opened("faulty") as (app, pilot):
        chart = app.screen.query_one("#loss", Chart)
        assert "500" in chart.text()[-1]
        await press(app, pilot, "x")
        assert "12 s" in chart.text()[-1]
        assert "time" in chart.text()[0]


async def test_what_a_number_is_stands_one_key_away():
    async with opened("faulty") as (app, pilot):
        await press(app, pilot, "i")
        assert isinstance(app.screen, Page)
        assert "Training loss: the loss function" in text(app)
        assert "Rules that read it" in text(app)
        await press(app, pilot, "escape", "2", "i")
        assert "update.ratio: update/weight" in text(app)


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


async def test_log_smoothing_band_and_zoom():
    async with opened("healthy") as (app, pilot):
        chart = app.screen.query_one("#loss", Chart)
        await press(app, pilot, "y")
        assert chart.text()[0].rstrip().endswith("log")
        await press(app, pilot, "s")
        assert "ema" not in chart.text()[0]
        await press(app, pilot, "s", "s")
        assert "ema 0.9" in chart.text()[0]
        before = chart.text()
        await press(app, pilot, "r")
        assert chart.text() != before
        await press(app, pilot, "plus", "plus")
        assert app.presenter.lens.span == pytest.approx(750, rel=0.01)
        assert "zoomed" in chart.text()[0]
        await press(app, pilot, "shift+left")
        assert app.presenter.lens.right is not None
        await press(app, pilot, "minus")
        assert app.presenter.lens.span == pytest.approx(1500, rel=0.01)
        await press(app, pilot, "0")
        assert app.presenter.lens.span is None


async def test_a_click_on_the_chart_is_a_moment():
    async with opened("healthy") as (app, pilot):
        await pilot.click("#loss", offset=(40, 5))
        await settle(app, pilot)
        assert 1_000 < app.moment.step < 2_000


async def test_not_finite_values_are_marked_where_they_begin():
    async with opened("crashed") as (app, _):
        assert any("✗" in line for line in app.screen.query_one("#loss", Chart).text()[1:])


async def test_repeated_blocks_are_one_row_until_opened():
    async with opened("faulty", size=(100, 30)) as (app, pilot):
        await press(app, pilot, "2")
        table = app.screen.query_one(HeatTable)
        assert len(table._rows) == 7  # stem, head, and four parts of the six blocks
        table.selected = "blocks.*.relu ×6"
        await press(app, pilot, "enter")
        relus = [line.split()[0] for line in table.text() if "relu" in line]
        assert relus[0] == "blocks.*.relu"
        assert sorted(relus[1:]) == [f"blocks.{i}.relu" for i in range(6)]
        await press(app, pilot, "enter")
        assert len(table._rows) == 7
        await press(app, pilot, "f")
        assert len(table._rows) == 27


async def test_a_layer_is_looked_into_and_left():
    async with opened("faulty", size=(100, 30)) as (app, pilot):
        await press(app, pilot, "2")
        app.screen.query_one(HeatTable).selected = "head.weight"
        await press(app, pilot, "enter")
        assert isinstance(app.screen, LayerScreen)
        shown = text(app)
        assert "head.weight  Conv2d" in shown
        for word in ("update/weight", "gradient", "weight"):
            assert word in shown
        await press(app, pilot, "left")
        assert app.moment.step is not None
        await press(app, pilot, "escape")
        assert app.screen.query(HeatTable)


async def test_the_layer_table_sorts_filters_and_moves():
    async with opened("faulty", size=(100, 30)) as (app, pilot):
        await press(app, pilot, "2")
        table = app.screen.query_one(HeatTable)
        first = table.selected
        await press(app, pilot, "j")
        assert table.selected != first
        await press(app, pilot, "k", "G")
        last = table.selected
        await press(app, pilot, "g")
        assert table.selected not in (None, last)
        await press(app, pilot, "f", "o")
        assert table.order == "model order"
        assert table.text()[1].startswith("stem.weight")
        await press(app, pilot, "l")
        assert "▼update" in table.text()[0]
        await press(app, pilot, "h", "h")
        assert table.order == "worst first"
        await press(app, pilot, "slash", *"relu", "enter")
        assert "6 of 27 layers" in table.text()[0]
        assert "conv" not in "".join(table.text())
        await press(app, pilot, "slash", *"zz", "enter")
        assert "no layer has" in "".join(table.text())
        await press(app, pilot, "escape")
        assert "27 layers" in table.text()[0]


async def test_far_values_carry_a_mark_besides_their_colour():
    async with opened("faulty", size=(100, 30)) as (app, pilot):
        await press(app, pilot, "2")
        assert any("!" in line for line in app.screen.query_one(HeatTable).text())


async def test_the_advisor_shows_the_chosen_finding_and_copies_its_remedy():
    async with opened("faulty", size=(100, 40)) as (app, pilot):
        await press(app, pilot, "4", "c")
        assert app.clipboard == "SGD(lr=0.1 → 0.0035) at train.py:41"
        await press(app, pilot, "j")
        assert "91 % of the units of blocks.5.relu never fire" in text(app)
        await press(app, pilot, "j", "j")
        assert "needs 3 evaluations, 1 seen" in text(app)
        app.copy_to_clipboard("before")
        await press(app, pilot, "c")
        assert app.clipboard == "before"
        await press(app, pilot, "k", "k", "k")
        assert app.screen.query_one(FindingTree).chosen.finding.rule == "lr-too-high"


async def test_the_evidence_is_on_its_own_curve_with_its_window_and_reference():
    async with opened("faulty", size=(140, 40)) as (app, pilot):
        await press(app, pilot, "4")
        chart = app.screen.query_one(Chart)
        assert chart.text()[0].startswith("update/weight of head.weight")
        assert any("reference 0.05" in line for line in chart.text())
        await press(app, pilot, "e")
        assert chart.text()[0].startswith("loss")
        assert chart.window == (1, 64)
        assert "━━━" in chart.text()[-1]
        await press(app, pilot, "j")
        assert chart.text()[0].startswith("dead of blocks.5.relu")


async def test_the_evidence_takes_the_place_of_the_text_where_it_is_narrow():
    async with opened("faulty") as (app, pilot):
        await press(app, pilot, "4", "e")
        assert "update/weight of head.weight" in text(app)
        assert "What" not in text(app)
        await press(app, pilot, "e", "e")
        assert "What" in text(app)


async def test_the_history_of_a_finding_is_told():
    frames = SESSIONS["faulty"]()
    first = next(frame for frame in frames if isinstance(frame, Finding))
    for status, severity, step in (("open", "error", 200), ("resolved", "error", 400), ("open", "watch", 900)):
        frames.append(structs.replace(first, status=status, severity=severity, last_step=step))
    async with opened("faulty", size=(100, 60), source=Frames(frames)) as (app, pilot):
        await press(app, pilot, "4")
        if app.screen.query_one(FindingTree).chosen.finding.id != first.id:
            await press(app, pilot, "j", "j")
        shown = text(app)
        for line in ("step 64: seen as error", "step 400: resolved", "step 900: back as watch"):
            assert line in shown


async def test_a_rule_page_is_one_key_away():
    async with opened("faulty", size=(100, 40)) as (app, pilot):
        await press(app, pilot, "4", "enter")
        assert isinstance(app.screen, Page)
        assert "Why it matters" in text(app)
        await press(app, pilot, "escape")
        assert not isinstance(app.screen, Page)


async def test_reliability_and_classes_where_there_is_room_or_by_key():
    async with opened("overfitting", size=(140, 40)) as (app, pilot):
        await press(app, pilot, "3")
        for word in ("reliability (val)", "ECE 0.", "predictions against labels", "class 9", "surer than it is right"):
            assert word in text(app)
    async with opened("overfitting") as (app, pilot):
        await press(app, pilot, "3")
        assert "ECE" not in text(app)
        await press(app, pilot, "v")
        assert "ECE 0." in text(app)
        assert "class 9" in text(app)


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


async def test_enter_opens_another_run():
    async with opened("faulty", library=LIBRARY) as (app, pilot):
        await press(app, pilot, "7")
        await app.workers.wait_for_complete()
        await press(app, pilot, "j", "enter")
        assert app.return_value == "open:/a/digits-0.nnw"


async def test_without_a_run_the_list_comes_first():
    from nnwatch.tui.app import NnwatchApp

    app = NnwatchApp(None, "replay", library=LIBRARY, ascii=False)
    async with app.run_test() as pilot:
        await pilot.pause()
        await app.workers.wait_for_complete()
        await settle(app, pilot)
        assert "NO RUN OPEN" in text(app)
        assert app.screen.query_one(DataTable).row_count == 2
        await press(app, pilot, "1", "7", "enter")
    assert app.return_value == "open:/a/digits-1.nnw"


async def test_help_lists_the_keys_and_is_searched():
    async with opened("faulty") as (app, pilot):
        await press(app, pilot, "question_mark")
        assert isinstance(app.screen, Help)
        assert "Move the cursor" in text(app)
        await press(app, pilot, *"faster")
        assert "Replay faster" in text(app)
        assert "Move the cursor" not in text(app)
        await press(app, pilot, "escape")
        assert not isinstance(app.screen, Help)


@pytest.mark.parametrize("key", ["ctrl+p", "colon"])
async def test_the_palette_opens(key):
    async with opened("faulty") as (app, pilot):
        await press(app, pilot, key)
        assert app.screen.query(Input)
        await press(app, pilot, "escape")
        await pilot.pause(0.2)
        assert not app.screen.query(Input)


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


async def test_waiting_says_what_for():
    async with opened("waiting") as (app, _):
        assert "WAITING" in text(app)
        assert "no backward pass yet: importing" in text(app)
        assert "downloading the tokenizer" in text(app)


async def test_a_crash_shows_its_last_words_and_the_finding():
    async with opened("crashed") as (app, _):
        assert "FAILED (exit 1)" in text(app)
        assert "AssertionError: loss is nan" in text(app)
        assert "assert torch.isfinite(loss)" in text(app)
        assert "torch.sqrt(x + 1e-8)" in text(app)


async def test_a_lost_connection_says_why_and_how_to_come_back():
    source = Frames(SESSIONS["faulty"](), lost="the socket was closed")
    async with opened("faulty", source=source) as (app, _):
        assert "DISCONNECTED" in text(app)
        assert "the socket was closed" in text(app)


@pytest.mark.parametrize("size", [(39, 20), (60, 11), (20, 5)])
async def test_too_small_is_one_line(size):
    async with opened("faulty", size=size) as (app, _):
        assert text(app).startswith("nnwatch needs 40×1")
        assert sum(bool(line.strip()) for line in lines(app)) <= 2  # wrapped where it is narrower still


@pytest.mark.parametrize("screen", "1234567")
async def test_a_phone_shows_every_screen(screen):
    async with opened("overfitting", size=(45, 20), library=LIBRARY) as (app, pilot):
        await press(app, pilot, screen)
        assert "! WARN overfitting" in text(app)
        assert "q Quit" in lines(app)[-1]


@pytest.mark.parametrize("screen", "12345")
async def test_ascii_has_no_other_character(screen):
    async with opened("faulty", size=(100, 30), ascii=True) as (app, pilot):
        await press(app, pilot, screen)
        assert text(app).isascii()


async def test_the_source_is_closed_and_the_history_stays():
    source = Frames(SESSIONS["faulty"]())
    async with opened("faulty", source=source) as (app, _):
        pass
    assert source.closed
    assert app.history.last_step == 1200


async def test_an_update_that_changes_nothing_repaints_nothing():
    async with opened("overfitting", size=(140, 40)) as (app, pilot):
        repainted = []
        for widget in app.screen.walk_children():
            widget.refresh = lambda *regions, widget=widget, **_: repainted.append(widget)
        for _ in range(100):  # the layout comes to rest
            app.tick()
            await pilot.pause(0)
            if not repainted:
                break
            repainted.clear()
        for _ in range(5):
            app.tick()
            await asyncio.sleep(0)
        assert repainted == []


async def test_an_appended_step_repaints_a_small_part_of_the_chart():
    source = Frames(SESSIONS["healthy"]()[:-1])
    async with opened("healthy", size=(140, 40), source=source) as (app, pilot):
        chart, areas = app.screen.query_one("#loss", Chart), []
        chart.refresh = lambda *regions, **_: areas.append(sum(region.area for region in regions))
        source.waiting.append(block(1, [3001], [START + 62.1], [[0.11, 0.1, 64, 0.02, 0.001]]))
        while app.history.last_step < 3001:
            await pilot.pause(0.01)
        await settle(app, pilot)
        assert 0 < sum(areas) < chart.size.area / 8


async def test_the_symbols_can_be_changed_while_it_runs():
    async with opened("faulty") as (app, _):
        chart = app.screen.query_one("#loss", Chart)
        app.draw_with("block")
        assert any("▄" in line or "█" in line or "▖" in line for line in chart.text())
        app.draw_with("ascii")
        assert all(line.isascii() for line in chart.text())


@pytest.mark.parametrize(("term", "encoding", "expected"), [("linux", "utf-8", "ascii"), ("xterm", "latin-1", "ascii")])
def test_a_poor_terminal_gets_ascii(monkeypatch, term, encoding, expected):
    import io
    import sys

    from nnwatch.tui.app import NnwatchApp

    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert NnwatchApp(None).presenter.symbols == expected


@pytest.mark.parametrize("size", [(1, 1), (4, 20), (12, 2), (100, 3)])
@pytest.mark.parametrize("first", ["small", "open"])
async def test_the_command_palette_survives_a_screen_too_small_for_it(size, first):
    async with opened("healthy") as (app, pilot):
        if first == "open":
            await pilot.press("colon")
        await pilot.resize_terminal(*size)
        await pilot.press("colon", "pagedown", "pagedown")
        await pilot.resize_terminal(80, 24)
        await settle(app, pilot)
        assert app._exception is None
        assert "loss" in text(app)


async def test_any_metric_can_be_chosen_by_its_letters_and_is_shown_large_with_its_meaning():
    async with opened("overfitting", size=(100, 30)) as (app, pilot):
        await press(app, pilot, "m")
        assert isinstance(app.screen, Metrics)
        await press(app, pilot, *"val acc")
        assert "val accuracy" in text(app)
        assert "Share of the validation batch" in text(app)
        await press(app, pilot, "enter")
        assert isinstance(app.screen, MetricScreen)
        chart = app.screen.query_one(Chart)
        assert [curve.column for curve in chart.curves] == ["accuracy.val"]
        assert "accuracy.val: Share of the validation batch predicted right." in text(app)
        await press(app, pilot, "escape")
        assert not isinstance(app.screen, MetricScreen)


async def test_a_metric_of_many_layers_is_shown_for_the_largest_and_letters_of_none_choose_nothing():
    async with opened("overfitting", size=(80, 24)) as (app, pilot):
        await press(app, pilot, "m", *"no such metric", "enter")
        assert isinstance(app.screen, Metrics)
        await press(app, pilot, "escape", "m", *"update/", "enter")
        chart = app.screen.query_one(Chart)
        assert len(chart.curves) == 6
        newest = [app.presenter.view().value(curve.column) for curve in chart.curves]
        assert newest == sorted(newest, reverse=True)
        await press(app, pilot, "m", *"learning", "enter")
        assert [curve.column for curve in app.screen.query_one(Chart).curves] == ["lr"]
        assert sum(isinstance(screen, MetricScreen) for screen in app.screen_stack) == 1


OTHERS = [*RUNS, RunRow("over", "finished", START - 50, 9400, 0.01, "", "/a/over.nnw")]


async def told(app, pilot, words):
    """Work in a thread has ended when these words are there."""
    for _ in range(200):
        await settle(app, pilot)
        if words in text(app):
            return
        await pilot.pause(0.01)
    raise AssertionError(f"{words!r} never came:\n{text(app)}")


async def test_marked_runs_are_compared_oldest_first():
    library = Library(lambda: OTHERS, read, compared)
    async with opened("faulty", size=(100, 30), library=library) as (app, pilot):
        await press(app, pilot, "7")
        await told(app, pilot, "over")
        await press(app, pilot, "C")
        await told(app, pilot, "mark a run with v")
        await press(app, pilot, "v", "j")
        await told(app, pilot, "▸ digits-1")
        await press(app, pilot, "C")
        await told(app, pilot, "compared /a/over.nnw /a/digits-1.nnw")


async def test_curves_of_several_runs_are_aligned_by_step_by_epoch_or_by_time():
    library = Library(lambda: OTHERS, read, compared)
    async with opened("faulty", size=(100, 30), library=library) as (app, pilot):
        await press(app, pilot, "7")
        await told(app, pilot, "over")
        await press(app, pilot, "v", "j", "O")
        await told(app, pilot, "val loss by step")
        overlay = app.screen.query_one(Overlay)
        by_step = [column for column in overlay.columns() if column is not None]
        assert max(int(column.steps[-1]) for column in by_step) == 9400
        await press(app, pilot, "t")
        assert "loss by step" in text(app)
        assert all(column is not None for column in overlay.columns())
        await press(app, pilot, "x", "x")
        assert "loss by time" in text(app)
        over, faulty = overlay.columns()
        assert over.steps[-1] == pytest.approx(10 * 2916, rel=0.02), "tenths of a second"
        assert faulty.steps[-1] < over.steps[-1]
        await press(app, pilot, "escape")
        assert "over" in text(app)


async def test_a_recording_that_cannot_be_read_is_one_line():
    async with opened("faulty", size=(100, 30), library=LIBRARY) as (app, pilot):
        await press(app, pilot, "7")
        await told(app, pilot, "digits-0")
        await press(app, pilot, "j", "O")
        await told(app, pilot, "/a/digits-0.nnw: cannot be read")


async def test_a_chart_and_a_screen_are_saved_as_svg_and_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with opened("faulty", size=(80, 24)) as (app, pilot):
        await press(app, pilot, "w", "w")
        await press(app, pilot, "W")
        names = sorted(path.name for path in tmp_path.iterdir())
        lead = "digits-1121-1104" if app.title != "nnwatch" else "nnwatch"
        assert names == sorted(
            f"{lead}-{what}.{end}"
            for what in ("loss-step-1200", "loss-step-1200-2", "overview-step-1200")
            for end in ("svg", "txt")
        )
        chart = (tmp_path / f"{lead}-loss-step-1200.txt").read_text("utf-8")
        assert chart.startswith("loss")
        assert any("\u2800" < char < "\u2900" for char in chart)
        whole = (tmp_path / f"{lead}-overview-step-1200.txt").read_text("utf-8")
        assert "learning rate too high" in whole
        assert len(whole.splitlines()) == 24
        picture = ElementTree.fromstring((tmp_path / f"{lead}-overview-step-1200.svg").read_text("utf-8"))
        assert picture.tag.endswith("svg")
        words = " ".join("".join(picture.itertext()).replace("\xa0", " ").split())
        assert "learning rate too high" in words


async def test_a_folder_that_takes_no_file_is_told_of(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    async with opened("faulty", size=(80, 24)) as (app, pilot):
        await press(app, pilot, "w")
        assert app.is_running


async def test_a_run_is_judged_again_at_another_threshold_and_shown_as_it_was_judged_after_esc(tmp_path):
    frames = [*case_frames(TOO_HIGH)]
    async with opened("faulty", size=(140, 40), source=Frames(frames)) as (app, pilot):
        for frame in Advisor().judge(app.history):
            app.history.apply(frame)
        await press(app, pilot, "4")
        assert "learning rate too high" in text(app)
        await press(app, pilot, "t")
        app.screen.query_one(Input).value = "peak = 0.99"
        await press(app, pilot, "enter")
        await told(app, pilot, "judged with lr-too-high peak = 0.99")
        assert "lr-too-high" not in {finding.rule for finding in app.presenter.second[1].finding_log}
        assert "learning rate too high" not in lines(app)[1]
        assert "lr-too-high" in {finding.rule for finding in app.history.finding_log}, "the run itself is as it was"
        await press(app, pilot, "escape")
        assert "learning rate too high" in lines(app)[1]
        await press(app, pilot, "t")
        app.screen.query_one(Input).value = "peek = 3"
        await press(app, pilot, "enter")
        assert any("lr-too-high has peak = 0.05" in notice.message for notice in app._notifications)


def ranked(seconds):
    """Frames of 100 steps on as many ranks as there are times of a step."""
    steps = np.arange(1, 101)
    fields = [FieldSpec("loss.train"), FieldSpec("step.seconds"), FieldSpec("data.wait")]
    blocks = []
    for rank, each in enumerate(seconds):
        times = np.full(100, each)
        one = block(1, steps, START + steps * each, 2.0 / steps + rank, times, times / 4)
        blocks.append(structs.replace(one, rank=rank))
    segments = [Segment(0, rank, 1, START) for rank in range(len(seconds))]
    return [Run("ranks", "r", "lab", ["torchrun"], "", "", START), *segments, Schema(1, "step", fields), *blocks]


async def test_every_rank_has_a_row_and_the_slow_one_is_marked():
    async with opened("faulty", size=(100, 40), source=Frames(ranked([0.1, 0.1, 0.25, 0.1]))) as (app, pilot):
        await press(app, pilot, "5")
        rows = [line.split() for line in lines(app) if line[:1].isdigit()]
        assert [row[0] for row in rows] == ["0", "1", "2", "3"]
        assert rows[2][1:6] == ["100", "2.02", "0.250", "!", "25%"]
        assert "!" not in rows[0]


async def test_of_many_ranks_the_odd_ones_are_shown():
    async with opened("faulty", size=(100, 40), source=Frames(ranked([0.1] * 30 + [0.3, 0.1]))) as (app, pilot):
        await press(app, pilot, "5")
        assert any(line.startswith("30 ") for line in lines(app))
        assert "24 more, as fast as most" in text(app)
