"""The verdict, always in sight: what is wrong and what to change, in two lines."""

from __future__ import annotations

from typing import Any

from ..draw.grid import SEVERITY_GLYPH, SEVERITY_INK, Grid, Ink
from ..view import View
from .cells import Cells

_PLAIN = ("running", "past", "finished")
"""States that need no words of their own."""


class VerdictBar(Cells):
    """Line one: what is wrong, or what happened to the run. Line two: what to do."""

    DEFAULT_CSS = "VerdictBar { height: 2; }"

    def key(self, view: View) -> Any:
        finding = view.verdict.finding
        remedy = (
            (finding.id, finding.severity, finding.title, tuple(r.change for r in finding.remedies))
            if finding
            else None
        )
        return view.verdict.line, remedy, view.state

    def draw(self, view: View, grid: Grid) -> None:
        finding, state = view.verdict.finding, view.state
        if state.kind not in _PLAIN:
            grid.put(0, 0, f"{state.glyph} {state.what}", state.ink)
            if finding is None:
                grid.put(2, 1, f"→ {state.next}" if state.next else "", Ink.TEXT)
            else:
                remedy = f"  → {finding.remedies[0].change}" if finding.remedies else ""
                grid.put(
                    0,
                    1,
                    f"{SEVERITY_GLYPH[finding.severity]} {finding.severity.upper()} {finding.title}{remedy}",
                    SEVERITY_INK[finding.severity],
                )
            return
        if finding is None:
            grid.put(0, 0, f"· {view.verdict.line}", Ink.TEXT)
            grid.put(2, 1, f"→ {state.next}" if state.next else "", Ink.DIM)
            return
        glyph, ink = SEVERITY_GLYPH[finding.severity], SEVERITY_INK[finding.severity]
        x = grid.put(0, 0, f"{glyph} {finding.severity.upper()} {finding.title}", ink)
        grid.put(x + 1, 0, f"· {finding.what}", Ink.TEXT)
        if finding.remedies:
            x = grid.put(2, 1, f"→ {finding.remedies[0].change}", Ink.TITLE)
            grid.put(x + 1, 1, f"· expect {finding.remedies[0].expect}", Ink.DIM)
        else:
            grid.put(2, 1, finding.why, Ink.TEXT)
