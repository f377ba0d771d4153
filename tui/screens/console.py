"""Screen 6: what the script prints."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Log

from nnwatch.frame import Console

from ..draw.grid import Ink
from ..transcript import Transcript, printed
from ..view import View
from .ask import Ask
from .room import Room, Words

_MOST = 20_000
"""Lines kept on the screen; the session has them all."""
_TAIL = 50
"""Texts at the end of the run among which its traceback is looked for."""


class ConsoleScreen(Room):
    """The text follows the moment; ``/`` shows only the lines with some letters in them."""

    name_of = "console"
    AUTO_FOCUS = "Log"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "slash",
            "filter",
            "Search",
            key_display="/",
            tooltip="Show only the lines with these letters in them",
        ),
        Binding("n", "node", "Node", show=False, tooltip="What was printed on the next node of the job"),
        Binding("escape", "clear", "All lines", show=False),
        Binding("j", "scroll(1)", "Scroll", key_display="j k"),
        Binding("k", "scroll(-1)", "Scroll up", show=False),
        Binding("g", "scroll(-1000000)", "First line", show=False),
        Binding("G", "scroll(1000000)", "Last line", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.sought = ""
        self._node = 0
        self._taken = 0
        """Console frames that were looked at."""
        self._transcript = Transcript()
        self._shown: tuple[int, str, bool, int] | None = None

    def body(self) -> ComposeResult:
        yield Words(wrap=True, id="about")
        yield Log(max_lines=_MOST)
        yield Words(id="unfinished")

    def look(self, view: View) -> None:
        frames = view.console(self._node)
        exception = view.event("exception") if view.until is None and not self._node else None
        now = len(frames), self.sought, exception is not None, self._node
        if now == self._shown:
            return
        if self._shown is None or self._shown[1:] != now[1:] or self._taken > now[0]:
            self.query_one(Log).clear()
            self._taken, self._transcript = 0, Transcript()
        self._shown = now
        lines = self._transcript.take(frame.text for frame in frames[self._taken :])
        self._taken = now[0]
        if exception is not None:
            lines += self._traceback(str(exception.data.get("traceback") or ""), frames)
        log = self.query_one(Log)
        log.write("".join(f"{line}\n" for line in lines if self.sought.lower() in line.lower()))
        self._progress(self._transcript.unfinished)
        self._about(view, now[0])

    def _traceback(self, traceback: str, frames: list[Console]) -> list[str]:
        """The traceback where the script did not print it itself."""
        last = traceback.strip().rpartition("\n")[2]
        return ["", *traceback.splitlines()] if last and last not in printed(frames[-_TAIL:]) else []

    def _progress(self, line: str) -> None:
        """The line that is not finished: a progress bar, as it is now."""
        words = self.query_one("#unfinished", Words)
        words.say([(line, Ink.TEXT)])
        if words.display != bool(line):
            words.display = bool(line)

    def _about(self, view: View, frames: int) -> None:
        if self.sought:
            line = f"lines with “{self.sought}”; Esc shows all"
        elif view.log:
            line = f"a {view.log} log keeps nothing of what the script printed"
        elif not frames and view.history.run is not None and view.history.run.headless:
            line = "the script printed to its own terminal (headless run), nothing of it was recorded"
        elif not frames:
            line = "the script has printed nothing yet"
        else:
            line = "what the script printed"
        if len(view.history.consoles) > 1:
            host = view.nodes.get(self._node, "?")
            line += f" on node {self._node} ({host}); n shows the next one of {len(view.history.consoles)}"
        self.query_one("#about", Words).say([(line, Ink.DIM)])

    def action_scroll(self, lines: int) -> None:
        self.query_one(Log).scroll_relative(y=lines, animate=False)

    def action_node(self) -> None:
        if self.view is not None:
            nodes = sorted(self.view.history.consoles)
            self._node = next((node for node in nodes if node > self._node), 0)
            self.look(self.view)

    def action_filter(self) -> None:
        def take(text: str | None) -> None:
            if text is not None:
                self.sought = text.strip()

        self.app.push_screen(Ask("search the output", self.sought), take)

    def action_clear(self) -> None:
        self.sought = ""
