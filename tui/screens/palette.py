"""The command palette, Textual's own, where there is room for it."""

from __future__ import annotations

from contextlib import suppress

from textual.command import CommandPalette
from textual.events import Resize
from textual.widgets import Input

from .room import NEEDED


class Palette(CommandPalette):
    """Closes on a screen that is too small for anything: Textual 8.2 may raise there when it lays the list out."""

    def on_mount(self) -> None:
        self.query_one(Input).cursor_blink = False  # or bytes go over the line for as long as it is open

    def on_resize(self, event: Resize) -> None:
        if self.is_current and (event.size.width < NEEDED[0] or event.size.height < NEEDED[1]):
            self.dismiss()

    def _action_command_list(self, action: str) -> None:
        # A page key that comes before the list was laid out is a KeyError there; here it moves nothing.
        with suppress(KeyError):
            super()._action_command_list(action)
