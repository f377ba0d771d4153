"""What all screens share: status and verdict above, time line and keys below, a body between."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget

from ..draw.grid import Grid
from ..draw.text import wrapped
from ..messages import Changed
from ..view import View
from ..widgets.cells import Cells
from ..widgets.keys import Keys
from ..widgets.scrubber import Scrubber
from ..widgets.status import Status
from ..widgets.verdict import VerdictBar, lines
from .travel import Travel

NEEDED = (40, 12)
"""Columns and rows below which nothing useful can be shown."""


class TooSmall(Widget):
    """One line that says what size is needed."""

    def render(self) -> str:
        width, height = self.app.size
        return f"nnwatch needs {NEEDED[0]}×{NEEDED[1]}, this is {width}×{height}"


class Room(Travel):
    """Subclasses name themselves, yield their body and may do more than redraw their cells in ``look``."""

    BLANK = True  # widgets cover it: lines that nobody sees are not made
    name_of: ClassVar[str] = ""
    _told = 2
    """Lines of the verdict."""
    ready = False
    """Whether its widgets are there."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "app.quit", "Quit", show=False, tooltip="Leave, or copy what is selected"),
        # before lists and texts take them: the moment is the same on every screen
        Binding("home", "start", "Start", show=False, priority=True, tooltip="To the first step"),
        Binding("end", "end", "End", show=False, priority=True, tooltip="To the newest step; live again"),
        Binding(
            "at",
            "goto",
            "Go to step",
            show=False,
            tooltip="To step 1200, to -2h before the end, to 03:00 on the clock",
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        # what Textual compares: it would read all style sheets again, twice, to show a screen that is styled anyway
        self._css_update_count = self.app._css_update_count

    def on_mount(self) -> None:
        self.cells = [widget for widget in self.query("Cells") if isinstance(widget, Cells)]
        self.scrubber = self.query_one(Scrubber)
        self.ready = True

    def compose(self) -> ComposeResult:
        yield Status(self.name_of, self.app.title)
        yield VerdictBar()
        yield from self.body()
        yield Scrubber()
        yield Keys()
        yield TooSmall()

    def on_descendant_focus(self) -> None:
        self.post_message(Changed())  # where the focus is, and the keys that go with it

    @abstractmethod
    def body(self) -> ComposeResult:
        """What stands between the verdict and the keys."""

    def show(self, view: View) -> None:
        """Redraw what can be seen of this moment."""
        self.take(view)
        scrubber = self.scrubber
        wanted = view.moment.replay or view.moment.step is not None
        if scrubber.display != wanted:
            scrubber.display = wanted
        if (told := len(lines(view))) != self._told:
            self._told = told
            self.set_class(self._told > 2, "-happened")
        for cells in self.cells:
            if cells.display:
                cells.show(view)
            else:
                cells.view = view  # for when it is shown, which may be before anything else is new
        self.look(view)

    def look(self, view: View) -> None:
        """Bring up to date what is not made of cells."""


class Words(Cells):
    """Lines of text that a screen sets, cut at the edge; those that ``wrap`` take as many rows as they need."""

    def __init__(self, wrap: bool = False, **names: object) -> None:
        super().__init__(**names)
        self.wrap = wrap
        self.lines: list[tuple[str, int]] = []

    def say(self, lines: list[tuple[str, int]]) -> None:
        if lines != self.lines:
            self.lines = lines
            self._fit()
            self.repaint()

    def on_resize(self) -> None:
        self._fit()
        super().on_resize()

    def _fit(self) -> None:
        rows = max(len(self._rows(self.outer_size.width)), 1)
        if self.wrap and (self.styles.height is None or self.styles.height.value != rows):
            self.styles.height = rows

    def _rows(self, width: int) -> list[tuple[str, int]]:
        if not self.wrap or width < 1:
            return self.lines
        return [(piece, ink) for line, ink in self.lines for piece in wrapped(line, width)]

    def key(self, view: View) -> object:
        return tuple(self.lines)

    def draw(self, view: View, grid: Grid) -> None:
        for y, (line, ink) in enumerate(self._rows(grid.width)):
            grid.put(0, y, line, ink)
