"""The app under Textual's pilot, with a clock that the test moves."""

from __future__ import annotations

from contextlib import asynccontextmanager

from nnwatch.tui.app import NnwatchApp
from nnwatch.tui.screens.page import Page
from nnwatch.tui.screens.room import Room
from nnwatch.tui.widgets.cells import Cells

from .recording import Frames
from .sessions import SESSIONS


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Training:
    """A control that notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def interrupt(self) -> None:
        self.asked.append("interrupt")

    def terminate(self) -> None:
        self.asked.append("terminate")

    def kill(self) -> None:
        self.asked.append("kill")


@asynccontextmanager
async def opened(session, size=(80, 24), mode="attach", source=None, **options):
    """(app, pilot) once everything there is has been read."""
    app = NnwatchApp(source or Frames(SESSIONS[session]()), mode, **{"ascii": False, **options})
    app.clock = Clock()
    async with app.run_test(size=size) as pilot:
        while not app.feed.caught_up.is_set():
            await pilot.pause(0.01)
        await settle(app, pilot)
        yield app, pilot


def pending(screen):
    """Whether a screen has still to be laid out or drawn: its own part, or a message that waits for a widget."""
    if screen._layout_required or screen._dirty_widgets or screen._compositor._dirty_regions:
        return True
    nodes = [screen, *screen.query("*")]
    return any(
        node.message_queue_size or (node is not screen and node.display and node._repaint_required) for node in nodes
    )


def undrawn(app):
    """Whether something in sight, below a dialog too, is not yet as it was told to be."""
    screens = [*app._background_screens, app.screen] if app.screen.is_modal else [app.screen]
    for screen in screens:
        if tuple(screen.size) != tuple(app.size):
            return True
        if isinstance(screen, Room):
            pictures = [cells for cells in screen.query("*") if isinstance(cells, Cells) and cells.region.area]
            if not screen.ready or any(cells._codes.shape[::-1] != tuple(cells.size) for cells in pictures):
                return True
    return pending(app.screen)


async def settle(app, pilot):
    """Let what was asked for be drawn: on a busy machine no span of time is enough, so wait for the picture.

    What shows around a dialog passes from screen to screen by timers of a sixtieth of a second, of which nothing
    tells from outside; but they share the loop with this pause, so those due before its end have run by its end."""
    await pilot.pause()
    before, quiet = None, 0
    while quiet < 2 and app._exception is None and not app._exit:
        app.tick()
        await pilot.pause(0.1 if app.screen.is_modal else 0)
        now = None if undrawn(app) else text(app)
        quiet, before = (quiet + 1 if now is not None and now == before else 0), now


async def press(app, pilot, *keys):
    await pilot.press(*keys)
    await settle(app, pilot)


async def asked(app, pilot, *keys):
    """The metric that the page is of which comes up after these keys; and back."""
    await press(app, pilot, *keys)
    assert isinstance(app.screen, Page), keys
    title = app.screen.text.splitlines()[0]
    await press(app, pilot, "escape")
    return title.partition(":")[0]


def lines(app):
    """The rows of the screen as text."""
    return [strip.text for strip in app.screen._compositor.render_strips()]


def text(app):
    return "\n".join(line.rstrip() for line in lines(app))


async def told(app, pilot, words):
    """Work in a thread has ended when these words are there."""
    for _ in range(200):
        await settle(app, pilot)
        if words in text(app):
            return
        await pilot.pause(0.01)
    raise AssertionError(f"{words!r} never came:\n{text(app)}")
