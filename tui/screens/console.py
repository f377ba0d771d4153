"""Screen 6: what the script prints."""

from __future__ import annotations

import re
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Log

from ..draw.grid import Ink, plain
from ..view import View
from .ask import Ask
from .room import Room, Words

_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-_])")
_MOST = 20_000
"""Lines kept on the screen; the session has them all."""


def console_text(view: View, begin: int) -> tuple[str, int]:
    """What was printed since console frame ``begin``, without escape sequences, and the number of frames by now."""
    frames = view.console()
    text = "".join(frame.text for frame in frames[begin:])
    return _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n"), len(frames)


class ConsoleScreen(Room):
    """The text follows the moment; ``/`` shows only the lines with some letters in them."""

    name_of = "console"
    AUTO_FOCUS = "Log"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Search", key_display="/", tooltip="Show only the lines with these letters in them"),
        Binding("escape", "clear", "All lines", show=False),
        Binding("j", "scroll(1)", "Scroll", key_display="j k"),
        Binding("k", "scroll(-1)", "Scroll up", show=False),
        Binding("g", "scroll(-1000000)", "First line", show=False),
        Binding("G", "scroll(1000000)", "Last line", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.sought = ""
        self._shown: tuple[int, str, bool] | None = None

    def body(self) -> ComposeResult:
        yield Words(id="about")
        yield Log(max_lines=_MOST)

    def look(self, view: View) -> None:
        exception = view.event("exception") if view.until is None else None
        now = len(view.console()), self.sought, exception is not None
        if now == self._shown:
            return
        before, self._shown = self._shown, now
        log = self.query_one(Log)
        begin = before[0] if before is not None and before[1:] == now[1:] and before[0] <= now[0] else 0
        if begin == 0 or self.sought:
            log.clear()
            begin = 0
        text, _ = console_text(view, begin)
        if exception is not None:
            traceback = str(exception.data.get("traceback") or "")
            last = traceback.strip().rsplit("\n", 1)[-1]
            if last and last not in text:
                text += f"\n{traceback}"
        if view.symbols == "ascii":
            text = "\n".join(map(plain, text.split("\n")))
        if self.sought:
            text = "".join(f"{line}\n" for line in text.splitlines() if self.sought.lower() in line.lower())
        log.write(text)
        self._about(view, now[0])

    def _about(self, view: View, frames: int) -> None:
        if self.sought:
            line = f"lines with “{self.sought}”; Esc shows all"
        elif not frames and view.history.run is not None and view.history.run.headless:
            line = "the script printed to its own terminal (headless run), nothing of it was recorded"
        elif not frames:
            line = "the script has printed nothing yet"
        else:
            line = "what the script printed"
        self.query_one("#about", Words).say([(line, Ink.DIM)])

    def action_scroll(self, lines: int) -> None:
        self.query_one(Log).scroll_relative(y=lines, animate=False)

    def action_filter(self) -> None:
        def take(text: str | None) -> None:
            if text is not None:
                self.sought = text.strip()

        self.app.push_screen(Ask("search the output", self.sought), take)

    def action_clear(self) -> None:
        self.sought = ""
