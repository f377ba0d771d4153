"""The app under Textual's pilot, with a clock that the test moves."""

from __future__ import annotations

from contextlib import asynccontextmanager

from nnwatch.tui.app import NnwatchApp

from .sessions import SESSIONS, Frames


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


async def settle(app, pilot):
    """Let what was asked for be drawn."""
    await pilot.pause()
    app.tick()
    await pilot.pause()


async def press(app, pilot, *keys):
    await pilot.press(*keys)
    await settle(app, pilot)


def lines(app):
    """The rows of the screen as text."""
    return [strip.text for strip in app.screen._compositor.render_strips()]


def text(app):
    return "\n".join(line.rstrip() for line in lines(app))
