"""The bottom line: the keys that matter here; each can be clicked."""

from __future__ import annotations

from typing import Any

from textual.binding import Binding
from textual.events import Click

from ..draw.grid import Grid, Ink
from ..view import View
from .cells import Cells

_ALWAYS = ("keys", "quit")
"""Actions that keep their place however narrow the screen is."""


class Keys(Cells):
    """Bindings of the focused widget, then of the screen, then of the app, as many as there is room for."""

    def key(self, view: View) -> Any:
        return id(self.screen.focused)

    def wanted(self) -> list[Binding]:
        """One binding for each action that wants to be shown."""
        shown: dict[str, Binding] = {}
        for active in self.screen.active_bindings.values():
            if active.binding.show and active.enabled and not active.binding.system:
                shown.setdefault(active.binding.description, active.binding)
        return [binding for binding in shown.values() if binding.description]

    def draw(self, view: View, grid: Grid) -> None:
        bindings = self.wanted()
        last = sorted((b for b in bindings if b.action in _ALWAYS), key=lambda b: _ALWAYS.index(b.action))
        room = grid.width - sum(len(self._label(binding)) + 2 for binding in last)
        x = 0
        self._spans: list[tuple[int, int, str]] = []
        for binding in [*(b for b in bindings if b.action not in _ALWAYS), *last]:
            length = len(self._label(binding)) + 2
            if binding.action not in _ALWAYS and x + length > room:
                continue
            at = grid.put(x, 0, self._keys(binding), Ink.KEY)
            grid.put(at + 1, 0, binding.description, Ink.TEXT)
            self._spans.append((x, x + length, binding.key.split(",")[0]))
            x += length

    def _keys(self, binding: Binding) -> str:
        return binding.key_display or self.app.get_key_display(binding).replace("⏎", "Enter").replace("esc", "Esc")

    def _label(self, binding: Binding) -> str:
        return f"{self._keys(binding)} {binding.description}"

    def on_click(self, event: Click) -> None:
        for begin, end, key in self._spans:
            if begin <= event.x < end:
                self.app.simulate_key(key)
