"""Screen 7: the runs there are."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from ..draw.grid import Ink
from ..draw.text import count, number
from ..library import Library, RunRow
from ..messages import Changed
from ..overlay import Run
from .overlay import OverlayScreen
from .page import Page
from .room import Room, Words

_WIDE = 60
"""Columns from which there is room for a run's whole name and its status in words."""
_NAME = 17
_GLYPHS = {"running": "●", "finished": "✓", "failed": "✗", "killed": "■", "lost": "?"}


class RunsScreen(Room):
    """Enter leaves this run for the chosen one; a running training goes on."""

    name_of = "runs"
    AUTO_FOCUS = "DataTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor(1)", "Choose", key_display="j k"),
        Binding("k", "cursor(-1)", "Choose up", show=False),
        Binding("v", "mark", "Mark", tooltip="Mark this run, to be compared with others"),
        Binding("C", "compare", "Compare", tooltip="The marked runs and this one: what was set, what came of it"),
        Binding("O", "overlay", "Overlay", tooltip="Curves of the marked runs and this one on one chart"),
        Binding("R", "load", "Reload", show=False, tooltip="Read the list of runs again"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.library: Library | None = getattr(self.app, "library", None)
        self.rows: list[RunRow] = []
        self.marked: set[str] = set()

    def body(self) -> ComposeResult:
        yield Words(wrap=True, id="about")
        yield DataTable(cursor_type="row", zebra_stripes=True)

    def on_screen_resume(self) -> None:
        self.action_load()

    def _say(self, text: str) -> None:
        self.query_one("#about", Words).say([(text, Ink.DIM)])

    def action_load(self) -> None:
        if self.library is None:
            self._say("the list of runs cannot be read from here; `nnwatch ls` prints it")
            return
        self._say("Enter opens a run, the one on the screen goes on; v marks runs to compare (C) or overlay (O)")
        self._load(self.library)

    @work(thread=True, exclusive=True)
    def _load(self, library: Library) -> None:
        rows = library.rows()
        self.app.call_from_thread(self._fill, rows)

    def _fill(self, rows: list[RunRow]) -> None:
        self.rows = rows
        if not rows:
            self._say("no runs yet: `nnwatch run train.py` makes one, `nnwatch demo` shows a recorded one")
        self._list()

    def _list(self) -> None:
        """What matters most first: the rest may be beyond the edge."""
        table = self.query_one(DataTable)
        at = table.cursor_row
        table.clear(columns=True)
        narrow = self.app.size.width < _WIDE
        table.add_column("run", width=_NAME if narrow else None)
        table.add_columns("", "verdict") if narrow else table.add_columns("status", "verdict")
        table.add_columns("loss", "step", "started")
        for row in self.rows:
            mark, glyph = "▸" if row.path in self.marked else " ", _GLYPHS.get(row.status, "·")
            table.add_row(
                f"{mark} {row.name}",
                glyph if narrow else f"{glyph} {row.status}",
                row.verdict,
                number(row.last_loss),
                count(row.last_step) if row.last_step is not None else "–",
                datetime.fromtimestamp(row.when).strftime("%m-%d %H:%M"),
                key=row.path,
            )
        table.move_cursor(row=min(at, max(len(self.rows) - 1, 0)))

    def on_resize(self) -> None:
        self._list()

    def action_cursor(self, by: int) -> None:
        table = self.query_one(DataTable)
        table.move_cursor(row=table.cursor_row + by)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        self.app.exit(f"open:{event.row_key.value}")

    def action_mark(self) -> None:
        if self.rows:
            table = self.query_one(DataTable)
            self.marked ^= {self.rows[table.cursor_row].path}
            self._list()
            self.action_cursor(1)

    def _chosen(self) -> list[RunRow]:
        """The marked runs and the one under the cursor, oldest first."""
        at = self.query_one(DataTable).cursor_row
        chosen = [row for i, row in enumerate(self.rows) if row.path in self.marked or i == at]
        return sorted(chosen, key=lambda row: row.when)

    def action_compare(self) -> None:
        chosen = self._chosen()
        if len(chosen) < 2:
            self._say("mark a run with v, go to another, and press C")
        elif self.library is not None:
            self._say("reading ...")
            self._compare(self.library, [row.path for row in chosen])

    @work(thread=True, exclusive=True)
    def _compare(self, library: Library, paths: list[str]) -> None:
        try:
            told = library.compare(paths)
        except ValueError as error:
            self.app.call_from_thread(self._say, str(error))
        else:
            self.app.call_from_thread(self.app.push_screen, Page(told, prose=False))

    def action_overlay(self) -> None:
        if (chosen := self._chosen()) and self.library is not None:
            self._say("reading ...")
            self._overlay(self.library, chosen)

    @work(thread=True, exclusive=True)
    def _overlay(self, library: Library, chosen: list[RunRow]) -> None:
        try:
            runs = [Run(row.name, library.read(row.path)) for row in chosen]
        except ValueError as error:
            self.app.call_from_thread(self._say, str(error))
        else:
            self.app.call_from_thread(self._show, runs)

    def _show(self, runs: list[Run]) -> None:
        self.app.push_screen(OverlayScreen(runs))
        self.app.call_after_refresh(self.post_message, Changed())
