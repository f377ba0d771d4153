"""The bottom line: the keys that matter here; each can be clicked."""

from __future__ import annotations

from typing import Any

from textual.binding import Binding
from textual.events import Click

from ..draw.grid import Grid, Ink
from ..view import View
from .cells import Cells
from .status import TABS_FROM

_LAST = ("keys", "quit")
"""Actions that stand at the end."""
_SCREENS = "room('overview')"
"""Nobody could guess these keys where the top line has no room for their names."""


class Keys(Cells):
    """Bindings of the focused widget, then of the screen, then of the app, as many as there is room for."""

    def key(self, view: View) -> Any:
        return id(self.screen.focused), view.moment.replay and view.moment.playing

    def wanted(self) -> list[Binding]:
        """One binding for each action that wants to be shown."""
        shown: dict[str, Binding] = {}
        for active in self.screen.active_bindings.values():
            if active.binding.show and active.enabled and not active.binding.system:
                shown.setdefault(active.binding.description, active.binding)
        return [binding for binding in shown.values() if binding.description]

    def draw(self, view: View, grid: Grid) -> None:
        bindings = sorted(self.wanted(), key=lambda one: _LAST.index(one.action) if one.action in _LAST else -1)
        # The way back, help and the door are shown however narrow it is.
        always = {binding.action for binding in bindings if binding.key == "escape"}.union(
            _LAST if grid.width >= TABS_FROM else (_SCREENS, *_LAST)
        )
        room = grid.width - sum(len(self._label(binding)) + 2 for binding in bindings if binding.action in always)
        x = 0
        self._spans: list[tuple[int, int, str]] = []
        for binding in bindings:
            length = len(self._label(binding)) + 2
            if binding.action not in always:
                if length > room:
                    continue
                room -= length
            at = grid.put(x, 0, self._keys(binding), Ink.KEY)
            grid.put(at + 1, 0, self._word(binding), Ink.TEXT)
            self._spans.append((x, x + length, binding.key.split(",")[0]))
            x += length

    def _keys(self, binding: Binding) -> str:
        return binding.key_display or self.app.get_key_display(binding).replace("⏎", "Enter").replace("esc", "Esc")

    def _word(self, binding: Binding) -> str:
        """What the key does now."""
        if binding.action != "screen.pause" or self.view is None or not self.view.moment.replay:
            return binding.description
        return "Pause" if self.view.moment.playing else "Play"

    def _label(self, binding: Binding) -> str:
        return f"{self._keys(binding)} {self._word(binding)}"

    def on_click(self, event: Click) -> None:
        for begin, end, key in self._spans:
            if begin <= event.x < end:
                self.app.simulate_key(key)
