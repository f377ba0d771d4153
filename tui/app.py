"""The app: owns the feed, the moment and the lens; turns them into a view some times a second."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar, Literal

from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.screen import Screen

from nnwatch.advisor.page import metric_page
from nnwatch.advisor.verdict import Verdict, verdict
from nnwatch.history import History, Track
from nnwatch.metric import describe

from .column import Columns
from .draw.raster import DOTS, Symbols
from .feed import Feed, Nothing, Source
from .keys import KEYS
from .leaving import GRACE, Control, Leaving
from .lens import Lens
from .library import Library
from .messages import About, Changed, Go, Judged, Notice
from .moment import Moment, Timeline
from .picture import save
from .screens.advisor import AdvisorScreen
from .screens.ask import Ask
from .screens.confidence import ConfidenceScreen
from .screens.console import ConsoleScreen
from .screens.help import Help
from .screens.layers import LayersScreen
from .screens.leave import Choice, Leave
from .screens.metrics import Metrics, MetricScreen, measured
from .screens.overview import Overview
from .screens.page import Page
from .screens.palette import Palette
from .screens.room import NEEDED, Room
from .screens.runs import RunsScreen
from .screens.system import SystemScreen
from .state import FROZEN, NOTHING_OPEN, REPLAY, State, state
from .view import View
from .widgets.cells import Cells
from .widgets.status import SCREENS

Mode = Literal["live", "attach", "replay"]

_TICK = 0.2
_EVERY_STEP = ("loss.train", "lr", "step.seconds")
"""Metrics with one record a step: the first that is there says which steps there are."""


class NnwatchApp(App[str]):
    """``run()`` returns how it was left: ``detach``, ``stop``, ``kill``, ``left`` or ``open:PATH``; ``history`` stays.

    ``source`` None opens on the list of runs. ``mode`` is ``live`` for the terminal that started the run, ``attach``
    for others, ``replay`` from step 0. After "stop" or "kill" the screen stays until the run has ended, or until
    that is clearly not going to happen.
    """

    CSS_PATH = "app.tcss"
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "overview": Overview,
        "layers": LayersScreen,
        "confidence": ConfidenceScreen,
        "advisor": AdvisorScreen,
        "system": SystemScreen,
        "console": ConsoleScreen,
        "runs": RunsScreen,
    }
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny-x"), (NEEDED[0], "-narrow"), (80, "-normal"), (120, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-tiny-y"), (NEEDED[1], "-short"), (30, "-tall")]  # noqa: RUF012
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
        self.symbols: Symbols = "ascii" if (_ascii_terminal() if ascii is None else ascii) else "braille"
        self.open = source is not None
        self.feed = Feed(source or Nothing())
        self.columns = Columns()
        self.moment = Moment(replay=mode == "replay" and self.open)
        self.lens = Lens()
        self.clock: Callable[[], float] = monotonic
        self.leaving = Leaving(control, lambda: self.clock()) if control is not None else None
        self.animation_level = "none"
        self.second: tuple[str, History] | None = None
        """Another judgement of this run, and the threshold it was made with."""
        self._timeline = Timeline()
        self._shown: object = None
        self._verdict: tuple[object, Verdict] | None = None

    @property
    def history(self) -> History:
        return self.feed.history

    def run(self, *args: Any, **options: Any) -> str | None:
        """Show the screen until it is left. Raises RuntimeError when it broke; what was wrong is printed then."""
        action = super().run(*args, **options)
        if self.return_code:
            raise RuntimeError("the screen broke off, see above")
        return action

    def on_mount(self) -> None:
        self.set_class(self.symbols == "ascii", "-ascii")
        self.feed.start()
        self.switch_mode("overview" if self.open else "runs")
        self.set_interval(_TICK, self.beat)
        self.call_after_refresh(self.tick)

    def on_unmount(self) -> None:
        self.feed.stop()

    def beat(self) -> None:
        """Some times a second: look if there is something new."""
        self.tick(only_new=True)

    def tick(self, only_new: bool = False) -> None:
        """Let time pass and show the moment, unless ``only_new`` is asked for and nothing is."""
        room = self._room()
        if room is None or self._exit:  # the widgets of an app that is being left go one by one
            return
        with self.feed.lock:
            self._timeline = self._current_timeline()
            if self.feed.caught_up.is_set():  # the speed of a replay depends on how long the run is
                complete = self.history.end is not None or self.feed.source.lost is not None
                self.moment.advance(self.clock(), self._timeline, complete)
            look = (self.history.version, self.moment.step, self.moment.playing, self.moment.seen)
            now = (room, look, self.feed.source.lost, self.feed.caught_up.is_set())
            if not only_new or now != self._shown:
                self._shown = now
                room.show(self._view())
        self._finish_leaving()

    def _room(self) -> Room | None:
        """The screen in sight, below any dialog."""
        return next(
            (screen for screen in reversed(self.screen_stack) if isinstance(screen, Room) and screen.ready), None
        )

    def _track(self) -> Track | None:
        """The lowest rank of the segment that is looked at."""
        if self.moment.segment is None:
            return self.history.main
        ranks = [key for key in self.history.tracks if key[0] == self.moment.segment]
        return self.history.tracks[min(ranks)] if ranks else self.history.main

    def _current_timeline(self) -> Timeline:
        track = self._track()
        if not track:
            return Timeline()
        known = [track[name] for name in _EVERY_STEP if name in track]
        series = known[0] if known else max(track.values(), key=len)
        return Timeline(series.steps, series.times)

    def _view(self) -> View:
        timeline, moment = self._timeline, self.moment
        judged, history = self.second or ("", self.history)
        step = moment.at(timeline)
        key = (
            judged,
            moment.segment,
            len(history.finding_log),
            len(history.judgements),
            step,
            moment.step is None,
            history.end is None,
        )
        if self._verdict is None or self._verdict[0] != key:
            self._verdict = key, verdict(history, moment.step, self._track())
        return View(
            history=history,
            track=self._track(),
            columns=self.columns,
            timeline=timeline,
            moment=moment,
            lens=self.lens,
            step=step,
            head=timeline.head,
            time=history.last_time if moment.step is None else timeline.time_of(step),
            verdict=self._verdict[1],
            state=self._state(step),
            symbols=self.symbols,
            judged=judged,
        )

    def _state(self, step: int) -> State:
        """What happens now; at an earlier moment, only that it is one."""
        if not self.open:
            return NOTHING_OPEN
        if self.moment.step is not None and (step < self._timeline.head or not self.moment.replay):
            return REPLAY if self.moment.replay else FROZEN
        return state(self.history, self.feed.source.lost, self.feed.caught_up.is_set())

    def on_changed(self, message: Changed) -> None:
        self.tick()

    def on_judged(self, message: Judged) -> None:
        self.second = (message.threshold, message.history) if message.history is not None else None
        self.tick()

    def on_go(self, message: Go) -> None:
        self.moment.go(message.step, self._timeline)
        self.tick()

    def on_notice(self, message: Notice) -> None:
        self.notify(message.text, timeout=4)

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def action_room(self, name: str) -> None:
        """Show a screen."""
        self.switch_mode(name)
        self.call_after_refresh(self.tick)

    def action_pause(self) -> None:
        self.moment.toggle(self._timeline)
        self.tick()

    def action_step(self, by: int) -> None:
        self.moment.go(self._timeline.beside(self.moment.at(self._timeline), by), self._timeline)
        self.tick()

    def action_finding(self, by: int) -> None:
        """To the next step at which a finding begins, or the one before."""
        now = self.moment.at(self._timeline)
        with self.feed.lock:
            starts = {finding.first_step for finding in self._view().history.finding_log}
        beyond = [step for step in starts if (step > now if by > 0 else step < now)]
        if not beyond:
            self.notify("no finding after this step" if by > 0 else "no finding before this step", timeout=2)
            return
        self.moment.go(min(beyond) if by > 0 else max(beyond), self._timeline)
        self.tick()

    def action_epoch(self, by: int) -> None:
        """To the step at which the next epoch begins, or the one before."""
        now, track = self.moment.at(self._timeline), self._track()
        epochs = self._view().landmarks().epochs if track is not None else []
        beyond = [step for step in epochs if (step > now if by > 0 else step < now)]
        if not beyond:
            self.notify("no epoch begins after this step" if by > 0 else "no epoch begins before this step", timeout=2)
            return
        self.moment.go(min(beyond) if by > 0 else max(beyond), self._timeline)
        self.tick()

    def action_segment(self, segment: int | None = None) -> None:
        """Show a segment; without one the segment before, or the newest after the first."""
        there = sorted({number for number, _ in self.history.tracks})
        if segment is None:
            track = self._track()
            earlier = [number for number in there if track is not None and number < track.segment.segment]
            segment = max(earlier, default=there[-1] if there else None)
        if len(there) < 2 or segment not in there:
            self.notify("this run has one segment", timeout=2)
            return
        self.moment.segment = None if segment == there[-1] else segment
        self._timeline = self._current_timeline()
        self.moment.to_end(self._timeline)
        self.tick()

    def on_about(self, message: About) -> None:
        try:
            self.push_screen(Page(metric_page(message.metric)))
        except KeyError:
            self.notify(
                f"{message.metric} is worked out here from other metrics; `nnwatch metrics` lists those", timeout=4
            )

    def action_start(self) -> None:
        self.moment.go(0, self._timeline)
        self.tick()

    def action_end(self) -> None:
        self.moment.to_end(self._timeline)
        self.tick()

    def action_speed(self, by: int) -> None:
        self.moment.faster(by)
        self.tick()

    def action_goto(self) -> None:
        def go(text: str | None) -> None:
            step = self._timeline.find(text or "")
            if step is not None:
                self.moment.go(step, self._timeline)
                self.tick()
            elif text:
                self.notify(f"{text!r} is no moment; type 1200, -2h or 03:00", timeout=4)

        self.push_screen(Ask("go to step 1200, to -2h before the end, to 03:00"), go)

    def action_metrics(self) -> None:
        """Choose a metric and show it large."""
        with self.feed.lock:
            view = self._view()
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
        if what == "part" and isinstance(widget, Cells):
            rows = [widget.render_line(y) for y in range(widget.size.height)]
            of = getattr(widget, "title", type(widget).__name__)
        else:
            rows = self.screen._compositor.render_strips()
            of = room.name_of if room is not None else "screen"
        name = f"{self.title} {of} step {self.moment.at(self._timeline)}"
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
        yield from super().get_system_commands(screen)
        for i, name in enumerate(SCREENS, 1):
            yield SystemCommand(f"Screen: {name}", f"The same as {i}", lambda name=name: self.action_room(name))
        for number in sorted({number for number, _ in self.history.tracks}) if len(self.history.tracks) > 1 else ():
            yield SystemCommand(f"Segment: {number + 1}", "Show this segment", partial(self.action_segment, number))
        for symbols in DOTS:
            yield SystemCommand(f"Symbols: {symbols}", "What curves are drawn with", partial(self.draw_with, symbols))

    def draw_with(self, symbols: Symbols) -> None:
        """Draw with braille, quadrant blocks or ASCII from now on."""
        self.symbols = symbols
        self.set_class(symbols == "ascii", "-ascii")
        self.tick()


def _ascii_terminal() -> bool:
    """Whether the terminal shows ASCII at best; the font of the Linux console has neither braille nor signs."""
    return os.environ.get("TERM") in ("linux", "dumb") or "utf" not in (sys.stdout.encoding or "").lower()
