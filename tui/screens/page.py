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
    paragraphs: list[str] = []
    full = False
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if full and paragraphs and line.strip() and indent == len(paragraphs[-1]) - len(paragraphs[-1].lstrip()):
            paragraphs[-1] += f" {line.strip()}"
        else:
            paragraphs.append(line)
        full = len(line) >= _FULL
    lines: list[str] = []
    for paragraph in paragraphs:
        indent = " " * (len(paragraph) - len(paragraph.lstrip()))
        broken = wrap(paragraph.strip(), width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
        lines += broken or [""]
    return "\n".join(lines)


class Page(ModalScreen[None]):
    """Esc goes back. ``prose`` is broken for the width there is, a table is left as it is."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter,i", "dismiss(None)", "Back")]

    def __init__(self, text: str, prose: bool = True) -> None:
        super().__init__()
        self.text = text
        self.prose = prose

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(markup=False)

    def on_resize(self) -> None:
        width = max(min(self.app.size.width, _WIDEST) - _AROUND, 20)
        self.query_one(Static).update(reflow(self.text, width) if self.prose else self.text)
