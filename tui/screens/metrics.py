"""Every metric that this run has: a list to choose from, and one of them large with what it means."""

from __future__ import annotations

from textwrap import shorten, wrap
from typing import ClassVar

import numpy as np
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from nnwatch.metric import Metric, describe

from ..curves import Curve
from ..draw.grid import Ink
from ..draw.text import number
from ..view import View
from ..widgets.chart import Chart
from .room import Room, Words

_TITLE, _VALUE = 24, 10
_WIDEST, _AROUND = 110, 12
"""Columns of the list, and those of them that its frame takes."""
_MOST = 6
"""Curves in one chart: of more layers those with the largest newest values."""
_NO_CURVE = ("row", "bin")
"""Axes whose places mean another sample each time, or a part of a distribution: no curve over steps."""

_CHECKSUM = ".order"
"""Ends the names of checksums: they are compared, their size means nothing."""


def measured(view: View) -> list[Metric]:
    """Metrics of this run that make a curve, in the order of the table, one's own last."""
    found = []
    for name in view.track or ():
        try:
            metric = describe(name)
        except KeyError:  # recorded by a newer nnwatch
            continue
        if metric.axis not in _NO_CURVE and not name.endswith(_CHECKSUM):
            found.append(metric)
    return found


def curves(view: View, metric: Metric) -> list[Curve]:
    """One curve, or one for each of its layers (groups, classes ...)."""
    series = view.series(metric.name)
    names = series.names() if series is not None else []
    if series is None or len(names) < 2:
        return [Curve(metric.name, "")]
    newest = np.nan_to_num(series.values[-1], nan=-np.inf)
    largest = np.argsort(-newest, kind="stable")[:_MOST]
    return [Curve(f"{metric.name}@{names[i]}", names[i], k, letter="ABCDEF"[k]) for k, i in enumerate(largest)]


class Metrics(ModalScreen[str | None]):
    """Returns the chosen metric's name, None after Esc."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back"),
        Binding("down", "move('down')", "Next", show=False, priority=True),
        Binding("up", "move('up')", "Before", show=False, priority=True),
    ]

    def __init__(self, metrics: list[tuple[Metric, float | None]]) -> None:
        super().__init__()
        self.metrics = metrics

    def compose(self) -> ComposeResult:
        with Vertical():
            box = Input(placeholder="letters of a metric's name; Enter shows it")
            box.cursor_blink = False
            yield box
            yield OptionList(markup=False)

    def on_mount(self) -> None:
        self._fill("")

    def _fill(self, sought: str) -> None:
        lines = self.query_one(OptionList)
        lines.clear_options()
        for metric, value in self.metrics:
            if sought.lower() in f"{metric.title} {metric.name}".lower():
                row = f"{metric.title[: _TITLE - 1]:{_TITLE}}{number(value):>{_VALUE}}"
                room = min(self.app.size.width, _WIDEST) - _AROUND - len(row)
                meaning = shorten(metric.meaning, room, placeholder=" …") if room > _TITLE else ""
                lines.add_option(Option(f"{row}  {meaning}", metric.name))
        lines.highlighted = 0 if lines.option_count else None

    @on(Input.Changed)
    def filter(self, event: Input.Changed) -> None:
        self._fill(event.value)

    @on(Input.Submitted)
    def choose(self) -> None:
        lines = self.query_one(OptionList)
        if lines.highlighted is not None:
            self.dismiss(lines.get_option_at_index(lines.highlighted).id)

    @on(OptionList.OptionSelected)
    def take(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)

    def action_move(self, way: str) -> None:
        lines = self.query_one(OptionList)
        lines.action_cursor_down() if way == "down" else lines.action_cursor_up()


class MetricScreen(Room):
    """One metric: its curve or curves, and what it is."""

    name_of = "overview"
    AUTO_FOCUS = "Chart"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "app.pop_screen", "Back")]

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        self.metric = metric

    def body(self) -> ComposeResult:
        yield Chart(self.metric.title, [Curve(self.metric.name, "")])
        yield Words(id="meaning")

    def look(self, view: View) -> None:
        chart = self.query_one(Chart)
        if len(chart.curves) == 1:  # chosen once: colours must not change places while the run goes on
            chart.plan(self.metric.title, curves(view, self.metric))
        unit = f" [{self.metric.unit}]" if self.metric.unit else ""
        lines = [
            (f"{curve.letter} {curve.label}  {number(view.value(curve.column))}", Ink.SERIES + curve.series)
            for curve in chart.curves
            if len(chart.curves) > 1  # more names than the legend above has room for
        ]
        meaning = wrap(f"{self.metric.name}{unit}: {self.metric.meaning}", max(self.size.width, 20))
        lines += [(line, Ink.DIM) for line in meaning]
        words = self.query_one("#meaning", Words)
        words.say(lines)
        if words.styles.height is None or words.styles.height.value != len(lines):
            words.styles.height = len(lines)
