"""All keys of where one is, searchable."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from .page import hung

_KEY_NAMES = {
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "question_mark": "?",
    "full_stop": ".",
    "comma": ",",
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
    "slash": "/",
    "colon": ":",
    "at": "@",
    "shift+left": "Shift+←",
    "shift+right": "Shift+→",
    "left": "←",
    "right": "→",
    "up": "↑",
    "down": "↓",
    "escape": "Esc",
    "tab": "Tab",
    "shift+tab": "Shift+Tab",
    "home": "Home",
    "end": "End",
    "space": "Space",
    "enter": "Enter",
}
_WIDE = 76
"""Columns from which keys and what they do stand side by side."""
_AROUND = 8
"""Cells beside the text: border, margin, the scroll bar."""
_READING = """
The two lines on top say what is wrong and what to change. Curves: the pale band is every value, the bright \
line their moving average. The chart's cursor is the moment that every screen shows. ▲ marks where a finding \
begins, ✗ where values stopped being finite.
"""


def key_name(binding: Binding) -> str:
    """The keys of a binding as they are printed on keyboards."""
    return " ".join(_KEY_NAMES.get(key, key.replace("ctrl+", "Ctrl+")) for key in binding.key.split(","))


def key_rows(bindings: list[Binding]) -> list[tuple[str, str]]:
    """(keys, what they do), one row for each action."""
    rows: dict[str, tuple[list[str], str]] = {}
    for binding in bindings:
        if binding.system or not binding.description:
            continue
        keys, _ = rows.setdefault(binding.action, ([], binding.tooltip or binding.description))
        keys.append(key_name(binding))
    return [(" ".join(keys), what) for keys, what in rows.values()]


class Help(ModalScreen[None]):
    """The keys of the focused widget first, then those of the screen and of the app."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1", "dismiss(None)", "Back"),
        Binding("down", "scroll(2)", "Down", show=False),
        Binding("up", "scroll(-2)", "Up", show=False),
    ]

    def __init__(self, bindings: list[Binding]) -> None:
        super().__init__()
        self.rows = key_rows(bindings)

    def compose(self) -> ComposeResult:
        with Vertical():
            search = Input(placeholder="search the keys; Esc goes back")
            search.cursor_blink = False
            yield search
            with VerticalScroll():
                yield Static(self.listing(""), id="keys", markup=False)

    def listing(self, sought: str) -> str:
        found = [(keys, what) for keys, what in self.rows if sought.lower() in f"{keys} {what}".lower()]
        width = self.app.size.width
        if width < _WIDE:
            lines = [hung(f"{keys}  {what}", width - _AROUND) for keys, what in found]
        else:
            lines = [f"{keys:>16}   {what}" for keys, what in found]
        return "\n".join(lines or ["no key does that"]) + ("" if sought else "\n" + _READING)

    def on_resize(self) -> None:
        self.query_one("#keys", Static).update(self.listing(self.query_one(Input).value))

    def on_input_changed(self, event: Input.Changed) -> None:
        self.query_one("#keys", Static).update(self.listing(event.value))

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)
