"""The verdict, always in sight: what is wrong and what to change, in two lines."""

from __future__ import annotations

from typing import Any

from ..draw.grid import SEVERITY_GLYPH, SEVERITY_INK, Grid, Ink
from ..draw.text import wrapped
from ..view import View
from .cells import Cells
from .status import SCREENS

_PLAIN = ("running", "past", "finished")
"""States that need no words of their own."""

_EARLY = ("opening", "waiting")
"""States in which there is nothing to judge."""

Said = list[tuple[str, int]]
"""One line: its parts with their inks."""


def lines(view: View) -> list[Said]:
    """What is wrong and what to do; of a run that something happened to that first, and the verdict as a last line."""
    finding, state = view.verdict.finding, view.state
    if state.kind in _PLAIN:
        return _verdict(view)
    told: list[Said] = [
        [(f"{state.glyph} {state.what}", state.ink)],
        [(f"→ {state.next}" if state.next else "", Ink.TEXT)],
    ]
    if finding is not None:
        remedy = f"  → {finding.remedies[0].change}" if finding.remedies else ""
        glyph, ink = SEVERITY_GLYPH[finding.severity], SEVERITY_INK[finding.severity]
        told.append([(f"{glyph} {finding.severity.upper()} {finding.title}{remedy}", ink)])
    elif state.kind not in _EARLY:
        told.append([(f"· {view.verdict.line}", Ink.TEXT)])
    return told


def _verdict(view: View) -> list[Said]:
    finding, state = view.verdict.finding, view.state
    if finding is None:
        return [[(f"· {view.verdict.line}", Ink.TEXT)], [(f"→ {state.next}" if state.next else "", Ink.DIM)]]
    glyph, ink = SEVERITY_GLYPH[finding.severity], SEVERITY_INK[finding.severity]
    what: Said = [(f"{glyph} {finding.severity.upper()} {finding.title}", ink), (f"· {finding.what}", Ink.TEXT)]
    if not finding.remedies:
        return [what, [(finding.why, Ink.TEXT)]]
    remedy = finding.remedies[0]
    return [what, [(f"→ {remedy.change}", Ink.TITLE), (f"· expect {remedy.expect}", Ink.DIM)]]


class VerdictBar(Cells):
    """Each line is broken between words where there are rows for that, on a phone, and cut where there are none."""

    DEFAULT_CSS = "VerdictBar { height: 2; }"

    def key(self, view: View) -> Any:
        return lines(view)

    def on_click(self) -> None:
        self.app.simulate_key(str(SCREENS.index("advisor") + 1))  # the whole of what is cut here

    def draw(self, view: View, grid: Grid) -> None:
        said = lines(view)
        y = 0
        for i, (line, rows) in enumerate(zip(said, _shares(said, grid.width, grid.height), strict=True)):
            _flow(grid, 2 if i else 0, y, rows, line)
            y += rows


def _shares(said: list[Said], width: int, height: int) -> list[int]:
    """Rows of each line: one at least, and more in turn for those that need more."""
    texts = (" ".join(text for text, _ in line) for line in said)
    needs = [len(wrapped(text, max(width - 2, 1))) for text in texts]
    rows = [1] * len(said)
    while sum(rows) < height and (short := [i for i, need in enumerate(needs) if rows[i] < need]):
        for i in short[: height - sum(rows)]:
            rows[i] += 1
    return rows


def _flow(grid: Grid, left: int, y: int, rows: int, line: Said) -> None:
    """Write a line into some rows, the last of them cut at the edge."""
    x, last = left, y + rows - 1
    for text, ink in line:
        while y < last and x + len(text) > grid.width:
            cut = text.rfind(" ", 0, max(grid.width - x, 0) + 1)
            if cut > 0:
                grid.put(x, y, text[:cut], ink)
                text = text[cut + 1 :]
            x, y = 2, y + 1
        x = grid.put(x, y, text, ink) + 1
