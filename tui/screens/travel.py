"""What the keys that choose the moment do (``keys.py``); it is the same on every screen."""

from __future__ import annotations

from collections.abc import Iterable

from textual.screen import Screen

from ..messages import Changed, Notice, ShowSegment
from ..segments import beside
from ..view import View
from .ask import Ask


class Travel(Screen[None]):
    """The moment is changed at once, so that keys that come faster than pictures are counted all the same."""

    view: View | None = None
    """What was shown last, None before the first time."""
    epochs: tuple[int, ...] = ()
    """First steps of the epochs in it."""

    def take(self, view: View) -> None:
        """The view that the keys act on; the feed stands still meanwhile."""
        self.view = view
        self.epochs = tuple(view.landmarks.epochs)

    def go(self, step: int) -> None:
        if self.view is not None:
            self.view.moment.go(step, self.view.timeline)
            self.post_message(Changed())

    def action_start(self) -> None:
        self.go(0)

    def action_end(self) -> None:
        if self.view is not None:
            self.view.moment.to_end(self.view.timeline)
            self.post_message(Changed())

    def action_pause(self) -> None:
        if self.view is not None:
            self.view.moment.toggle(self.view.timeline)
            self.post_message(Changed())

    def action_speed(self, by: int) -> None:
        if self.view is not None:
            self.view.moment.faster(by)
            self.post_message(Changed())

    def action_step(self, by: int) -> None:
        if self.view is not None:
            self.go(self.view.timeline.beside(self.view.moment.at(self.view.timeline), by))

    def action_finding(self, by: int) -> None:
        """To the next step at which a finding begins, or the one before."""
        if self.view is not None:
            self._next({finding.first_step for finding in self.view.history.finding_log}, by, "finding")

    def action_epoch(self, by: int) -> None:
        """To the step at which the next epoch begins, or the one before."""
        self._next(self.epochs, by, "epoch begins")

    def _next(self, places: Iterable[int], by: int, what: str) -> None:
        if self.view is None:
            return
        now = self.view.moment.at(self.view.timeline)
        beyond = [step for step in places if (step > now if by > 0 else step < now)]
        if beyond:
            self.go(min(beyond) if by > 0 else max(beyond))
        else:
            self.post_message(Notice(f"no {what} {'after' if by > 0 else 'before'} this step"))

    def action_segment(self) -> None:
        self.post_message(ShowSegment())

    def action_goto(self) -> None:
        def go(text: str | None) -> None:
            if self.view is None or not text:
                return
            time = self.view.stretches[-1].timeline.when(text) if self.view.stretches else None
            there = beside(self.view.stretches, time, time, forward=False) if time is not None else None
            step = self.view.timeline.find(text)
            if there is not None and there[0].track is not self.view.track:  # on the clock, in another segment
                self.view.enter(*there)
                self.post_message(Changed())
            elif step is not None:
                self.go(step)
            else:
                self.post_message(Notice(f"{text!r} is no moment; type 1200, -2h or 03:00"))

        self.app.push_screen(Ask("go to step 1200, to -2h before the end, to 03:00"), go)
