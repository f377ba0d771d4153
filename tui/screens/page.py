"""A page of text over the screen: a rule, a metric."""

from __future__ import annotations

from textwrap import wrap
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

_FULL = 80
"""A line of a page with so many characters goes on in the next one, if that is indented alike."""
_AROUND = 8
"""Cells beside the text: border, margin, the scroll bar."""
_WIDEST = 100


def reflow(text: str, width: int) -> str:
    """Paragraphs that were broken for another width, broken for this one; what stands in lines of its own stays."""
    paragraphs: list[tuple[int, str]] = []
    full = False
    for line in text.splitlines():
        words = line.strip()
        indent = len(line) - len(line.lstrip())
        if full and words and indent == paragraphs[-1][0]:
            paragraphs[-1] = indent, f"{paragraphs[-1][1]} {words}"
        else:
            paragraphs.append((indent, words))
        full = len(line) >= _FULL
    lines: list[str] = []
    for indent, words in paragraphs:
        left = " " * indent
        lines += wrap(words, width, initial_indent=left, subsequent_indent=left, break_on_hyphens=False) or [""]
    return "\n".join(lines)


def hung(text: str, width: int) -> str:
    """Lines that are broken go on a little to the right of where they began."""
    lines: list[str] = []
    for line in text.splitlines():
        left = " " * (len(line) - len(line.lstrip()))
        lines += wrap(line, width, subsequent_indent=f"{left}    ", break_on_hyphens=False) or [""]
    return "\n".join(lines)


class Page(ModalScreen[None]):
    """Esc goes back. Paragraphs of ``prose`` are broken anew for the width there is, else each line by itself."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter,i", "dismiss(None)", "Back")]

    def __init__(self, text: str, prose: bool = True) -> None:
        super().__init__()
        self.text = text
        self.prose = prose

    def compose(self) -> ComposeResult:
        with VerticalScroll() as pane:
            pane.border_subtitle = "Esc goes back"
            yield Static(markup=False)

    def on_resize(self) -> None:
        width = max(min(self.app.size.width, _WIDEST) - _AROUND, 20)
        self.query_one(Static).update((reflow if self.prose else hung)(self.text, width))
