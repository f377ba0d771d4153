"""The first screen, and what it says in every state of a run."""

import asyncio

import numpy as np

from nnwatch.frame import Commit, End, Event, FieldSpec, Judgement, Run, Schema, Segment
from nnwatch.tui.draw.grid import Ink
from nnwatch.tui.widgets.chart import Chart

from .driving import asked, lines, opened, press, settle, text
from .recording import START, Frames, block
from .sessions import SESSIONS


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


async def test_not_finite_values_are_marked_where_they_begin():
    async with opened("crashed") as (app, _):
        assert any("✗" in line for line in app.screen.query_one("#loss", Chart).text()[1:])


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


async def test_the_last_words_show_at_once_though_nothing_more_comes():
    frames = SESSIONS["crashed"]()
    async with opened("", source=Frames(frames[:-3])) as (app, pilot):
        for frame in frames[-3:]:
            app.history.apply(frame)
        app.tick(only_new=True)
        words = app.screen.query_one("#last-words")
        while not words.size.height:  # no tick of the test's own
            await pilot.pause(0.01)
        await pilot.pause()
        assert words.text()[-1].strip() == "AssertionError: loss is nan"


async def test_a_lost_connection_says_why_and_how_to_come_back():
    source = Frames(SESSIONS["faulty"](), lost="the socket was closed")
    async with opened("faulty", source=source) as (app, _):
        assert "DISCONNECTED" in text(app)
        assert "what came before is here; the socket was closed" in text(app)
        assert "q leaves, `nnwatch attach` connects again" in text(app)
        assert "ERROR learning rate too high" in text(app)


def log_of_another_tool():
    """What its tool wrote: a loss, and an accuracy of the validation, without an end."""
    n = np.arange(10, 310, 10)
    fields = [FieldSpec("loss.train")], [FieldSpec("loss.val"), FieldSpec("accuracy.val")]
    return [
        Run("metrics.csv", "", "", [], "", "", START),
        Segment(0, 0, 1, START),
        Schema(1, "step", fields[0]),
        Schema(2, "val", fields[1]),
        Event("facts", START, 0, data={"log": "CSV"}),
        block(1, n, START + n, 2.0 / n),
        block(2, n[9::10], START + n[9::10], np.ones(3), np.array([0.5, 0.6, 0.7])),
        Judgement(300, 0, 0, ["divergence"], {"dead-relu": "the log has no act.dead"}),
        End(START + 300, "lost", cause="how it ended is not in the log"),
    ]


async def test_of_a_log_of_another_tool_what_is_missing_says_so_on_every_screen():
    async with opened("", size=(45, 20), source=Frames(log_of_another_tool())) as (app, pilot):
        shown = " ".join(text(app).split())
        for words in (
            "LOG ENDS HERE",
            "how it ended is not in the log",
            "look at the job itself",
            "nothing wrong found; 1 of 2 rules could",
            "val accuracy 70.0%",
            "gradient norm – not in the log",
        ):
            assert words in shown
        for key, times in (("2", 1), ("3", 2), ("5", 1)):
            await press(app, pilot, key)
            assert " ".join(text(app).split()).count("not in this CSV log; `nnwatch run` would measure it") == times
        await press(app, pilot, "6")
        assert "a CSV log keeps nothing of what the script" in text(app)


async def test_a_stalled_run_says_where_it_is_before_how_long_a_step_takes():
    silent = {"seconds": 130.0, "usual": 0.02, "where": "waiting for another thread, a worker or a collective"}
    frames = [*SESSIONS["faulty"](), Event("stalled", START + 156.0, 1_200, data=silent), Commit(START + 170.0)]
    async with opened("", size=(45, 20), source=Frames(frames)) as (app, _):
        assert "it is waiting for another thread, a worker or a collective;" in " ".join(text(app).split())


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


async def test_the_source_is_closed_and_the_history_stays():
    source = Frames(SESSIONS["faulty"]())
    async with opened("faulty", source=source) as (app, _):
        pass
    assert source.closed
    assert app.history.last_step == 1200


async def test_a_phone_shows_the_remedy_in_whole_words_on_lines_of_its_own():
    async with opened("overfitting", size=(45, 20)) as (app, pilot):
        shown = lines(app)
        assert shown[1].startswith("! WARN overfitting")
        assert "→ stop here and load the checkpoint of step" in shown[3]
        assert shown[4].strip().startswith("3,100")
        await pilot.resize_terminal(45, 12)
        await settle(app, pilot)
        assert "→ stop here" in lines(app)[2], "cut where rows are few"


async def test_with_arrows_every_number_is_reached_and_its_page():
    async with opened("faulty", size=(45, 20)) as (app, pilot):
        assert await asked(app, pilot, "i") == "loss.train"
        assert [await asked(app, pilot, "down", "enter") for _ in range(7)] == [
            "accuracy.train",
            "lr",
            "update.ratio",
            "grad.norm",
            "step.seconds",
            "step.seconds",
            "watch.cost",
        ]
        assert await asked(app, pilot, "down", "i") == "loss.train"
        assert await asked(app, pilot, "up", "i") == "watch.cost"


async def test_the_charts_of_the_wide_overview_are_reached_with_the_arrows():
    async with opened("faulty", size=(140, 40)) as (app, pilot):
        titles = {await asked(app, pilot, "down", "i") for _ in range(8)}
        assert {"accuracy.train", "update.ratio", "grad.norm", "lr", "loss.train"} <= titles


async def test_where_the_focus_is_shows_at_once_though_nothing_else_is_new():
    async with opened("healthy", size=(140, 40)) as (app, pilot):
        loss, accuracy = app.screen.query_one("#loss"), app.screen.query_one("#accuracy")
        assert loss._inks[0, 0] == Ink.SELECTED
        await pilot.press("tab")
        while loss._inks[0, 0] == Ink.SELECTED:  # no tick of the test's own
            await pilot.pause(0.01)
        assert accuracy._inks[0, 0] == Ink.SELECTED


async def test_a_gauge_of_the_machine_has_a_page_too():
    async with opened("healthy", size=(100, 30)) as (app, pilot):
        await press(app, pilot, "5")
        titles = [await asked(app, pilot, "i")]
        titles += [await asked(app, pilot, "down", "i") for _ in range(7)]
        assert titles[0] == "cpu.percent"
        assert "host.memory.used" in titles
        assert titles[-1] == "step.seconds", "beyond the last gauge comes the chart"
