"""Curves of the runs that were chosen from the list, on one chart."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from ..overlay import Run
from ..widgets.overlay import Overlay
from .room import Room


class OverlayScreen(Room):
    """Esc goes back to the list."""

    name_of = "runs"
    AUTO_FOCUS = "Overlay"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "app.pop_screen", "Back")]

    def __init__(self, runs: list[Run]) -> None:
        super().__init__()
        self.chosen = runs

    def body(self) -> ComposeResult:
        yield Overlay(self.chosen)
