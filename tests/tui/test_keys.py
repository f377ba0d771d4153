"""Keys that come faster than screens do."""

import pytest
from textual import events

from nnwatch.tui.widgets.status import SCREENS

from .driving import opened, press, settle, text
from .library import LIBRARY


@pytest.mark.parametrize("first", "234567")
async def test_a_key_that_comes_while_a_screen_is_being_made_is_not_lost(first):
    async with opened("faulty", size=(100, 30), library=LIBRARY) as (app, pilot):
        for second in (first, "1"):
            for key in (first, second):
                app.post_message(events.Key(key, key))
            await settle(app, pilot)
            await app.workers.wait_for_complete()
            assert app.current_mode == SCREENS[int(second) - 1]


@pytest.mark.parametrize(("key", "character"), [("inverted_exclamation_mark", "¡"), ("alt+q", "q")])
async def test_a_key_that_is_read_together_with_the_escape_before_it_counts(key, character):
    async with opened("faulty", size=(100, 30)) as (app, pilot):
        await press(app, pilot, "6", "slash", *"loss", "enter")
        assert "lines with “loss”; Esc shows all" in text(app)
        app.post_message(events.Key(key, character))
        await settle(app, pilot)
        assert app.current_mode == "overview" if character == "¡" else app._exit
        if character == "¡":
            await press(app, pilot, "6")
            assert "lines with" not in text(app)


async def test_a_word_that_is_searched_may_have_any_character():
    async with opened("faulty", size=(100, 30)) as (app, pilot):
        await press(app, pilot, "6", "slash")
        for key in (events.Key("pound_sign", "£"), events.Key("enter", "\r")):
            app.post_message(key)
            await settle(app, pilot)
        assert "lines with “£”; Esc shows all" in text(app)
