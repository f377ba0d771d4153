"""The app: reads the run, shows a view of it some times a second, opens screens, and knows how to leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar, Literal

from textual import events
from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.filter import LineFilter
from textual.screen import Screen
from textual.widgets import Input

from nnwatch.history import History
from nnwatch.metric import describe

from .column import metric_of
from .commands import commands, explanations
from .draw.raster import DOTS, Symbols
from .feed import PERIOD, Feed, Nothing, Source
from .keys import KEYS, after_escape
from .leaving import GRACE, Control, Leaving
from .library import Library
from .messages import About, Arrived, Changed, Judged, Notice, ShowSegment
from .moment import Moment
from .picture import save
from .presenter import Presenter
from .rooms import ROOMS
from .screens.help import Help
from .screens.leave import Choice, Leave
from .screens.metrics import Metrics, MetricScreen, measured
from .screens.page import Page
from .screens.palette import Palette
from .screens.room import NEEDED, Room
from .terminal import Terminal
from .theme import Ascii, ascii_terminal
from .widgets.cells import Cells

Mode = Literal["live", "attach", "replay"]

_BEAT = 1.0
"""Seconds between two looks at what no message tells: a terminal that is gone, a file that nothing is added to."""
_ASCII = Ascii()


class NnwatchApp(App[str]):
    """``run()`` returns how it was left: ``detach``, ``stop``, ``kill``, ``left`` or ``open:PATH``; ``history`` stays.

    ``source`` None opens on the list of runs. ``mode`` is ``live`` for the terminal that started the run, ``attach``
    for others, ``replay`` from step 0. After "stop" or "kill" the screen stays until the run has ended, or until
    that is clearly not going to happen.
    """

    CSS_PATH = "app.tcss"
    MODES = ROOMS
    DEFAULT_MODE = "overview"
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny-x"), (NEEDED[0], "-narrow"), (80, "-normal"), (120, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-tiny-y"), (NEEDED[1], "-short"), (18, "-middle"), (30, "-tall")]  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

    def __init__(
        self,
        source: Source | None,
        mode: Mode = "live",
        control: Control | None = None,
        library: Library | None = None,
        title: str = "nnwatch",
        ascii: bool | None = None,
    ) -> None:
        super().__init__()
        self.title = title
        self.library = library
        symbols: Symbols = "ascii" if (ascii_terminal() if ascii is None else ascii) else "braille"
        self.feed = Feed(source or Nothing())
        self.moment = Moment(replay=mode == "replay" and source is not None)
        self.presenter = Presenter(self.feed, self.moment, symbols, opened=source is not None)
        self.clock: Callable[[], float] = monotonic
        self.leaving = Leaving(control, lambda: self.clock()) if control is not None else None
        self.terminal = Terminal()
        self.animation_level = "none"
        self._shown: object = None

    @property
    def history(self) -> History:
        return self.feed.history

    def run(self, *args: Any, **options: Any) -> str | None:
        """Show the screen until it is left. Raises RuntimeError when it broke; what was wrong is printed then."""
        action = super().run(*args, **options)
        if self.return_code:
            raise RuntimeError("the screen broke off, see above")
        return action

    def get_line_filters(self) -> Sequence[LineFilter]:
        filters = super().get_line_filters()
        return [*filters, _ASCII] if self.presenter.symbols == "ascii" else filters

    async def on_event(self, event: events.Event) -> None:
        typed = ""
        if isinstance(event, events.Key) and not event.is_forwarded and not isinstance(self.focused, Input):
            typed = after_escape(event)
        if typed:
            for key in (events.Key("escape", "\x1b"), events.Key(typed, typed)):
                self.post_message(key)
        else:
            await super().on_event(event)

    def on_load(self) -> None:
        self.feed.news = lambda: self.post_message(Arrived())
        self.feed.start()

    def on_mount(self) -> None:
        self.set_class(self.presenter.symbols == "ascii", "-ascii")
        if not self.presenter.opened:
            self.switch_mode("runs")
        self.set_interval(_BEAT, partial(self.tick, only_new=True))
        self._player = self.set_interval(PERIOD, partial(self.tick, only_new=True), pause=True)
        self.tick()

    def on_unmount(self) -> None:
        self.feed.stop()

    def tick(self, only_new: bool = False) -> None:
        """Let time pass and show the moment, unless ``only_new`` is asked for and nothing is."""
        room = self._room()
        if room is None or self._exit:  # the widgets of an app that is being left go one by one
            return
        if self.terminal.gone:  # what is watched goes on
            self.exit("detach")
            return
        with self.feed.lock:
            self.presenter.advance(self.clock())
            now = room, self.presenter.stamp()
            if not only_new or now != self._shown:
                self._shown = now
                room.show(self.presenter.view())
        (self._player.resume if self.moment.playing else self._player.pause)()
        self._finish_leaving()

    def _room(self) -> Room | None:
        """The screen in sight, below any dialog."""
        return next(
            (screen for screen in reversed(self.screen_stack) if isinstance(screen, Room) and screen.ready), None
        )

    def on_arrived(self, message: Arrived) -> None:
        self.tick(only_new=True)

    def on_changed(self, message: Changed) -> None:
        self.tick()

    def on_judged(self, message: Judged) -> None:
        self.presenter.second = (message.threshold, message.history) if message.history is not None else None
        self.tick()

    def on_show_segment(self, message: ShowSegment) -> None:
        with self.feed.lock:
            found = self.presenter.show_segment(message.number)
        if found:
            self.tick()
        else:
            self.notify("this run has one segment", timeout=2)

    def on_notice(self, message: Notice) -> None:
        self.notify(message.text, timeout=4)

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def action_room(self, name: str) -> None:
        """Show a screen."""
        self.switch_mode(name)
        self.call_after_refresh(self.tick)

    def on_about(self, message: About) -> None:
        self._explain(metric_of(message.metric))

    def _explain(self, name: str) -> None:
        """The page of a metric or a rule."""
        from nnwatch.advisor.page import metric_page, page  # all rules with it: the first frame does not wait for them

        for told in (metric_page, page):
            with suppress(KeyError):
                self.push_screen(Page(told(name)))
                return
        self.notify(f"this nnwatch does not know {name}", timeout=4)  # recorded by a newer one

    def action_metrics(self) -> None:
        """Choose a metric and show it large."""
        with self.feed.lock:
            view = self.presenter.view()
            found = [(metric, view.value(metric.name)) for metric in measured(view)]

        def show(name: str | None) -> None:
            if name is not None:
                if isinstance(self.screen, MetricScreen):
                    self.pop_screen()
                self.push_screen(MetricScreen(describe(name)))
                self.call_after_refresh(self.tick)

        self.push_screen(Metrics(found), show)

    def action_save(self, what: Literal["part", "screen"]) -> None:
        """The focused widget or the whole screen, as files in the folder that nnwatch was started in."""
        widget, room = self.focused, self._room()
        of = room.name_of if room is not None else "screen"
        if what == "part" and isinstance(widget, Cells):
            rows = [widget.render_line(y) for y in range(widget.size.height)]
            of = getattr(widget, "title", of)
        else:
            rows = self.screen._compositor.render_strips()
        name = f"{self.title} {of} step {self.moment.at(self.presenter.timeline)}"
        try:
            path = save(rows, Path.cwd(), name)
        except OSError as error:
            self.notify(f"not saved: {error}", severity="error", timeout=4)
        else:
            self.notify(f"saved {path.name} and {path.stem}.txt in {path.parent}", timeout=4)

    def action_keys(self) -> None:
        bindings = [active.binding for active in self.screen.active_bindings.values()]
        self.push_screen(Help(bindings))

    async def action_quit(self) -> None:
        """Leave; ask first where this terminal started a run that is still alive."""
        if self.screen.get_selected_text():
            self.screen.action_copy_text()
            return
        if self.leaving is None or self.history.end is not None:
            self.exit("left")
        elif not isinstance(self.screen, Leave):
            self.push_screen(Leave(), self._leave)

    def _leave(self, choice: Choice | None) -> None:
        if choice == "detach":
            self.exit("detach")
        elif choice is not None and self.leaving is not None:
            self.leaving.begin(choice)
            if choice == "stop":
                self.notify(f"Ctrl+C sent to the script; SIGTERM follows in {GRACE:.0f} s if it goes on", timeout=GRACE)

    def _finish_leaving(self) -> None:
        """Leave when the run has ended after "stop" or "kill"."""
        if self.leaving is not None and self.leaving.over(
            self.history.end is not None or self.feed.source.lost is not None
        ):
            self.exit(self.leaving.choice)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        yield from (command for command in super().get_system_commands(screen) if command.title == "Theme")
        yield from commands(screen.active_bindings.values(), self.run_action)
        for number in sorted({number for number, _ in self.history.tracks}) if len(self.history.tracks) > 1 else ():
            yield SystemCommand(
                f"Segment: {number + 1}", "Show this segment", partial(self.post_message, ShowSegment(number))
            )
        yield from explanations(self.history, self._explain)
        for symbols in DOTS:
            yield SystemCommand(f"Symbols: {symbols}", "What curves are drawn with", partial(self.draw_with, symbols))

    def draw_with(self, symbols: Symbols) -> None:
        """Draw with braille, quadrant blocks or ASCII from now on."""
        self.presenter.symbols = symbols
        self.set_class(symbols == "ascii", "-ascii")
        self.tick()
