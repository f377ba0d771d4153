"""Screen 7: the runs there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from ..draw.grid import Ink
from ..draw.text import count, number
from .room import Room, Words

_GLYPHS = {"running": "●", "finished": "✓", "failed": "✗", "killed": "■", "lost": "?"}


@dataclass(frozen=True)
class RunRow:
    """One run as the list shows it; ``when`` is its start in seconds since 1970, ``path`` its session."""

    name: str
    status: str
    when: float
    last_step: int | None
    last_loss: float | None
    verdict: str
    path: str


class RunsScreen(Room):
    """Enter leaves this run for the chosen one; a running training goes on."""

    name_of = "runs"
    AUTO_FOCUS = "DataTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor(1)", "Choose", key_display="j k"),
        Binding("k", "cursor(-1)", "Choose up", show=False),
        Binding("R", "load", "Reload", tooltip="Read the list of runs again"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.list_runs: Callable[[], list[RunRow]] | None = getattr(self.app, "list_runs", None)

    def body(self) -> ComposeResult:
        yield Words(id="about")
        table: DataTable[str] = DataTable(cursor_type="row", zebra_stripes=True)
        table.add_columns("run", "status", "started", "step", "loss", "verdict")
        yield table

    def on_screen_resume(self) -> None:
        self.action_load()

    def action_load(self) -> None:
        about = self.query_one("#about", Words)
        if self.list_runs is None:
            about.say([("the list of runs cannot be read from here; `nnwatch ls` prints it", Ink.DIM)])
            return
        about.say([("Enter opens a run; the one on the screen goes on", Ink.DIM)])
        self._load(self.list_runs)

    @work(thread=True, exclusive=True)
    def _load(self, list_runs: Callable[[], list[RunRow]]) -> None:
        rows = list_runs()
        self.app.call_from_thread(self._fill, rows)

    def _fill(self, rows: list[RunRow]) -> None:
        table = self.query_one(DataTable)
        at = table.cursor_row
        table.clear()
        for row in rows:
            table.add_row(
                row.name,
                f"{_GLYPHS.get(row.status, '·')} {row.status}",
                datetime.fromtimestamp(row.when).strftime("%m-%d %H:%M"),
                count(row.last_step) if row.last_step is not None else "–",
                number(row.last_loss),
                row.verdict,
                key=row.path,
            )
        table.move_cursor(row=min(at, max(len(rows) - 1, 0)))

    def action_cursor(self, by: int) -> None:
        table = self.query_one(DataTable)
        table.move_cursor(row=table.cursor_row + by)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        self.app.exit(f"open:{event.row_key.value}")
