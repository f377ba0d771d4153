"""All screens: opened by their digits, at every size, in ASCII; help and palette."""

import pytest
from textual.command import CommandList
from textual.widgets import Input

from nnwatch.tui.app import NnwatchApp
from nnwatch.tui.screens.help import Help
from nnwatch.tui.screens.layers import LayerScreen
from nnwatch.tui.screens.metrics import Metrics, MetricScreen
from nnwatch.tui.screens.page import Page
from nnwatch.tui.screens.palette import Palette
from nnwatch.tui.widgets.chart import Chart
from nnwatch.tui.widgets.heat_table import HeatTable

from .driving import asked, lines, opened, press, settle, text, told
from .library import LIBRARY

SCREENS = {
    "1": ["loss", "train"],
    "2": ["27 layers, worst first", "update", "blocks.*.relu ×6"],
    "3": ["overconfident", "█ right", "▒ wrong"],
    "4": ["learning rate too high (head.weight)", "↳ ! warn dead units", "Do this", "8 judged, 2 could not"],
    "5": ["this machine", "GPU: no NVIDIA driver", "seconds a step", "waiting for data"],
    "6": ["what the script printed", "loading 50,000 images", "step 1200: val loss"],
    "7": ["digits-0", "✓ finished", "error learning rate too high"],
}


async def test_digits_open_the_screens():
    async with opened("faulty", size=(100, 30), library=LIBRARY) as (app, pilot):
        for key, words in SCREENS.items():
            await press(app, pilot, key)
            await app.workers.wait_for_complete()
            await settle(app, pilot)
            for word in words:
                assert word in text(app), key


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


async def test_the_pictures_of_confidence_take_the_keyboard_and_the_mouse():
    async with opened("overfitting", size=(45, 20)) as (app, pilot):
        await press(app, pilot, "3")
        assert await asked(app, pilot, "i") == "confidence.train"
        await press(app, pilot, "left")
        first = app.moment.step
        assert 9_000 < first < 9_400, "the cursor is the moment"
        assert await asked(app, pilot, "down", "i") == "confidence.val"
        await press(app, pilot, "left")
        assert app.moment.step < first
        await pilot.click(app.screen.focused, offset=(5 + 20, 3))
        assert app.moment.step == 5_249, "the last step of that cell: 40 of them are 10,500 steps"
        await press(app, pilot, "v")
        assert await asked(app, pilot, "i") == "confidence.val"
        assert await asked(app, pilot, "down", "i") == "predicted.count"
        assert "sure 0.12" in text(app), "as many bins as there are rows, the lowest among them"


async def test_help_lists_the_keys_and_is_searched():
    async with opened("faulty") as (app, pilot):
        await press(app, pilot, "question_mark")
        assert isinstance(app.screen, Help)
        assert "Move the cursor" in text(app)
        await press(app, pilot, *"faster")
        assert "Replay faster" in text(app)
        assert "Move the cursor" not in text(app)
        await pilot.resize_terminal(45, 20)
        await settle(app, pilot)
        assert "] Replay faster" in " ".join(text(app).split())
        await press(app, pilot, "escape")
        assert not isinstance(app.screen, Help)


async def test_space_is_named_by_what_it_does():
    async with opened("healthy", mode="replay") as (app, pilot):
        for playing in (True, False, True):
            assert ("space Pause" if playing else "space Play") in lines(app)[-1]
            await press(app, pilot, "space")
    async with opened("faulty") as (app, _):
        assert "space Freeze" in lines(app)[-1]


async def test_the_palette_opens_by_two_keys():
    async with opened("faulty") as (app, pilot):
        for key in ("ctrl+p", "colon"):
            await press(app, pilot, key)
            assert app.screen.query(Input), key
            await press(app, pilot, "escape")
            while app.screen.query(Input):
                await pilot.pause(0.01)


@pytest.mark.parametrize(("letters", "page"), [("nan-loss-fn", "nan-loss-fn:"), ("update.rat", "update.ratio:")])
async def test_the_page_of_a_rule_or_metric_is_found_by_its_letters(letters, page):
    async with opened("faulty") as (app, pilot):
        await press(app, pilot, "colon", *letters)
        await told(app, pilot, "Explain: ")
        await press(app, pilot, "enter")
        while isinstance(app.screen, Palette):
            await pilot.pause(0.01)
        assert app.screen.text.startswith(page)


async def test_too_small_is_one_line():
    async with opened("faulty", size=(39, 20)) as (app, pilot):
        for size in ((39, 20), (60, 11), (20, 5)):
            await pilot.resize_terminal(*size)
            await settle(app, pilot)
            assert text(app).startswith("nnwatch needs 40×1")
            assert sum(bool(line.strip()) for line in lines(app)) <= 2  # wrapped where it is narrower still


async def test_a_phone_shows_every_screen():
    async with opened("overfitting", size=(45, 20), library=LIBRARY) as (app, pilot):
        for key in SCREENS:
            await press(app, pilot, key)
            assert "! WARN overfitting" in text(app), key
            assert "q Quit" in lines(app)[-1], key


async def test_ascii_has_no_other_character():
    async with opened("faulty", size=(100, 30), ascii=True, library=LIBRARY) as (app, pilot):
        for key in SCREENS:
            await press(app, pilot, key)
            await app.workers.wait_for_complete()
            await settle(app, pilot)
            assert text(app).isascii(), key


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

    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert NnwatchApp(None).presenter.symbols == expected


@pytest.mark.parametrize("first", ["small", "open"])
async def test_the_command_palette_survives_a_screen_too_small_for_it(first):
    async with opened("healthy") as (app, pilot):
        for size in ((1, 1), (4, 20), (12, 2), (100, 3)):
            if first == "open":
                await pilot.press("colon")
            await pilot.resize_terminal(*size)
            await pilot.press("colon", "pagedown", "pagedown")
            await pilot.resize_terminal(80, 24)
            await settle(app, pilot)
            assert app._exception is None, size
            await pilot.press("escape", "escape")
            await settle(app, pilot)
            assert "loss" in text(app), size


async def test_nothing_blinks_over_a_slow_line():
    async with opened("healthy") as (app, pilot):
        for key in ("colon", "at", "question_mark", "m"):
            await press(app, pilot, key)
            assert not any(box.cursor_blink for box in app.screen.query(Input)), key
            await press(app, pilot, "escape")


async def chosen(app, pilot, title):
    """Take a command from the palette without a letter; the arrows are not pressed once for each command before it."""
    await press(app, pilot, "colon")
    while (found := app.screen.query_one(CommandList)).option_count < 20:
        await pilot.pause(0.01)
    at = next(i for i, option in enumerate(found.options) if str(option.prompt).startswith(title))
    found.highlighted = at - 1
    await press(app, pilot, "down", "enter")
    while isinstance(app.screen, Palette):
        await pilot.pause(0.01)
    await settle(app, pilot)


async def test_on_a_phone_all_is_reached_by_arrows_enter_esc_and_the_palette():
    async with opened("faulty", size=(45, 20), library=LIBRARY) as (app, pilot):
        await chosen(app, pilot, "Next finding")
        await chosen(app, pilot, "Finding before")
        assert app.moment.step == 60
        await chosen(app, pilot, "Freeze")
        assert app.moment.step is None
        await chosen(app, pilot, "Log")
        assert app.screen.query_one("#loss", Chart).kind == "log"
        await chosen(app, pilot, "Screen: layers")
        await chosen(app, pilot, "Order")
        assert app.screen.query_one(HeatTable).order == "model order"
        await press(app, pilot, *["up"] * 8, "enter")
        assert isinstance(app.screen, LayerScreen)
        assert "Esc All layers" in lines(app)[-1], "the way back is shown however narrow it is"
        await press(app, pilot, "escape")
        await chosen(app, pilot, "Screen: advisor")
        await chosen(app, pilot, "Copy remedy")
        assert app.clipboard == "SGD(lr=0.1 → 0.0035) at train.py:41"
        await press(app, pilot, "enter")
        assert isinstance(app.screen, Page)
        await press(app, pilot, "escape")
        await chosen(app, pilot, "Metrics")
        assert isinstance(app.screen, Metrics)
        await press(app, pilot, "down", "enter")
        assert isinstance(app.screen, MetricScreen)
        await press(app, pilot, "escape")
        await chosen(app, pilot, "Quit")
        assert app.return_value == "left"
