"""The keys that work on every screen. Those of one screen or widget stand with it."""

from __future__ import annotations

from textual import events
from textual.binding import Binding

from .widgets.status import SCREENS


def _key(key: str, action: str, word: str, what: str, shown: str | None = None) -> Binding:
    """``word`` stands in the bottom line if ``shown`` says as which key, ``what`` in the help."""
    return Binding(key, action, word, show=shown is not None, key_display=shown, tooltip=what)


KEYS = [
    *(
        _key(str(i), f"room('{name}')", "Screens", f"Screen: {name}", "1-7" if i == 1 else None)
        for i, name in enumerate(SCREENS, 1)
    ),
    _key("space", "screen.pause", "Freeze", "Live: freeze the view, data go on; replay: play and pause", "space"),
    _key("comma", "screen.step(-1)", "Step back", "One step back"),
    _key("full_stop", "screen.step(1)", "Step", "One step on"),
    _key("less_than_sign", "screen.finding(-1)", "Finding before", "To the finding before"),
    _key("greater_than_sign", "screen.finding(1)", "Next finding", "To the next finding"),
    _key("left_curly_bracket", "screen.epoch(-1)", "Epoch before", "To where the epoch before begins"),
    _key("right_curly_bracket", "screen.epoch(1)", "Next epoch", "To where the next epoch begins"),
    _key("m", "metrics", "Metrics", "Any metric of this run as a large chart, one's own too"),
    _key("w", "save('part')", "Save chart", "Save the focused chart or list as SVG and text, into this folder"),
    _key("W", "save('screen')", "Save screen", "Save the whole screen as SVG and text, into this folder"),
    _key("S", "screen.segment", "Segment", "Show the segment before; after the first, the newest"),
    _key("left_square_bracket", "screen.speed(-1)", "Slower", "Replay more slowly"),
    _key("right_square_bracket", "screen.speed(1)", "Faster", "Replay faster"),
    _key("colon,ctrl+p", "command_palette", "Commands", "Command palette"),
    _key("question_mark", "keys", "Help", "All keys of this place", "?"),
    _key("q,ctrl+q", "quit", "Quit", "Leave; asks when that would touch the training", "q"),
]

_DIGITS = dict(zip("¡™£¢∞§¶", "1234567", strict=True))
"""What Textual makes of Esc and a digit that it reads together: the characters of an Option key."""


def after_escape(key: events.Key) -> str:
    """The second of two keys of which the first is Esc: on a busy machine they are read together, and the same bytes
    are one key with Alt held, which is none of ours. "" for any other key."""
    typed = key.character or ""
    return typed if key.key.startswith("alt+") else _DIGITS.get(typed, "")
