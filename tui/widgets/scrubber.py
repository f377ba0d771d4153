"""The time line of a replay or of a frozen screen: where we are, how fast, and where the findings lie."""

from __future__ import annotations

from typing import Any

from textual.events import Click

from ..draw.grid import SEVERITY_INK, Grid, Ink
from ..draw.text import clock, count, duration
from ..messages import Changed
from ..view import View
from .cells import Cells


class Scrubber(Cells):
    """``▶ ×2  step 512 of 3,000 ━━━━●────▲─── 0:12 of 1:03``; hidden while a live run is followed."""

    DEFAULT_CSS = "Scrubber { height: 1; }"
    _line = range(0)
    """Cells of the time line."""

    def key(self, view: View) -> Any:
        moment = view.moment
        return (
            moment.playing,
            moment.step,
            moment.speed,
            view.step,
            view.head,
            len(view.history.finding_log),
            view.lens.clock,
        )

    def draw(self, view: View, grid: Grid) -> None:
        moment, steps = view.moment, view.timeline
        if moment.replay:
            sign = f"▶ ×{moment.speed or 1:g}" if moment.playing else "‖ paused"
            left = f"{sign}  {count(view.step)} of {count(view.head)}"
            began = float(steps.times[0]) if len(steps.times) else 0.0
            whole = float(steps.times[-1]) - began if len(steps.times) else 0.0
            when = (
                clock(view.time) if view.lens.clock else f"{duration(max(view.time - began, 0))} of {duration(whole)}"
            )
            right = when if grid.width >= 60 else ""
        else:
            when = f" ({clock(view.time)})" if view.lens.clock else ""
            left = f"‖ FROZEN at step {count(view.step)}{when}  +{count(view.head - view.step)} steps, End = live"
            right = ""
        x = grid.put(0, 0, left, Ink.TITLE if moment.replay else Ink.WARN) + 2
        end = grid.right(grid.width, 0, right, Ink.DIM) - 1 if right else grid.width
        room = end - x
        self._line = range(x, end) if room >= 8 else range(0)
        if not self._line:
            return
        at = min(round(view.step / max(view.head, 1) * (room - 1)), room - 1)
        grid.put(x, 0, "━" * at, Ink.SERIES)
        grid.put(x + at, 0, "─" * (room - at), Ink.DIM)
        for finding in view.history.finding_log:
            if finding.severity in ("info", "watch"):
                continue
            place = min(round(finding.first_step / max(view.head, 1) * (room - 1)), room - 1)
            grid.put(x + place, 0, "▲", SEVERITY_INK[finding.severity])
        grid.put(x + at, 0, "●", Ink.TITLE)

    def on_click(self, event: Click) -> None:
        if self.view is not None and event.x in self._line:
            view = self.view
            place = view.head * self._line.index(event.x) / (len(self._line) - 1)
            view.moment.go(view.timeline.at_or_before(place), view.timeline)
            self.post_message(Changed())
