"""The findings as a tree: each cause with what it explains folded under it, then what was resolved."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.events import Click, MouseScrollDown, MouseScrollUp

from nnwatch.frame import Finding, Judgement

from ..draw.grid import SEVERITY_GLYPH, SEVERITY_INK, Grid, Ink
from ..draw.text import count
from ..messages import Changed
from ..view import View
from .cells import Cells


class Entry(NamedTuple):
    """One line of the tree; without a finding it is the line about the rules that could not judge."""

    finding: Finding | None
    depth: int


def entries(view: View) -> list[Entry]:
    """Open findings as the verdict orders them, then resolved ones, then the rules."""
    lines = []
    for root, explained in view.verdict.findings:
        lines.append(Entry(root, 0))
        lines.extend(Entry(child, 1) for child in explained)
    segment = view.track.segment.segment if view.track is not None else 0
    resolved = [f for f in view.findings() if f.status == "resolved" and f.segment == segment]
    lines.extend(Entry(finding, 0) for finding in sorted(resolved, key=lambda f: -f.last_step))
    return [*lines, Entry(None, 0)]


class FindingTree(Cells, can_focus=True):
    """``chosen`` is the entry under the cursor."""

    DEFAULT_CSS = "FindingTree { height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Choose", key_display="j k"),
        Binding("up,k", "move(-1)", "Choose up", show=False),
    ]

    def __init__(self, **names: Any) -> None:
        super().__init__(**names)
        self._entries: list[Entry] = []
        self._at = 0
        self._top = 0

    @property
    def chosen(self) -> Entry | None:
        return self._entries[self._at] if self._at < len(self._entries) else None

    def key(self, view: View) -> Any:
        return len(view.history.finding_log), len(view.history.judgements), view.until, self._at

    def draw(self, view: View, grid: Grid) -> None:
        before = self.chosen
        self._entries = entries(view)
        if before is not None and before.finding is not None:  # keep the choice when the list changes
            ids = [entry.finding.id if entry.finding else None for entry in self._entries]
            self._at = ids.index(before.finding.id) if before.finding.id in ids else 0
        self._at = min(self._at, len(self._entries) - 1)
        if self.chosen != before:
            self.post_message(Changed())  # what stands beside the tree is about the chosen one
        top = self._top = max(self._at - grid.height + 1, 0)
        for y, entry in enumerate(self._entries[top : top + grid.height]):
            self._line(view, grid, y, entry, top + y == self._at)

    def _line(self, view: View, grid: Grid, y: int, entry: Entry, chosen: bool) -> None:
        finding = entry.finding
        if finding is None:
            text, ink = f"· {_judged(view.judgement)}", Ink.DIM
        else:
            where = f" ({finding.layer})" if finding.layer else ""
            sign = "✓" if finding.status == "resolved" else SEVERITY_GLYPH[finding.severity]
            word = "resolved" if finding.status == "resolved" else finding.severity
            indent = "  ↳ " if entry.depth else ""
            text = f"{indent}{sign} {word} {finding.title}{where} · step {count(finding.first_step)}"
            ink = Ink.DIM if finding.status == "resolved" else SEVERITY_INK[finding.severity]
        grid.put(0, y, text, Ink.SELECTED if chosen and self.has_focus else ink)
        if chosen:
            grid.fill(y, Ink.SELECTED)

    def action_move(self, by: int) -> None:
        self._at = min(max(self._at + by, 0), max(len(self._entries) - 1, 0))
        self.repaint()
        self.post_message(Changed())

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        self.action_move(3)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        self.action_move(-3)

    def on_click(self, event: Click) -> None:
        self.action_move(self._top + event.y - self._at)


def _judged(judgement: Judgement | None) -> str:
    if judgement is None:
        return "no rule has judged yet"
    return f"{len(judgement.judged)} judged, {len(judgement.abstained)} could not"
