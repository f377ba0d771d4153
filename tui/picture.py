"""What is on the screen as files: SVG with its colours, and plain text."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.segment import Segment, Segments
from textual.strip import Strip


def svg(rows: Sequence[Strip], title: str) -> str:
    """Rows of cells as SVG. Whoever opens it asks nobody for fonts: those that Rich names lie on a server."""
    width = max((row.cell_length for row in rows), default=1)
    colours = {"force_terminal": True, "color_system": "truecolor", "legacy_windows": False}
    console = Console(width=width, file=io.StringIO(), record=True, **colours)  # type: ignore[arg-type]
    cells = [segment for row in rows for segment in (*row, Segment.line())]
    console.print(Segments(cells), end="")
    return re.sub(r"@font-face\s*\{.*?\}\s*", "", console.export_svg(title=title), flags=re.DOTALL)


def text(rows: Sequence[Strip]) -> str:
    """Rows of cells as lines, without the blanks at their ends."""
    return "".join(f"{row.text.rstrip()}\n" for row in rows)


def save(rows: Sequence[Strip], folder: Path, name: str) -> Path:
    """Write NAME.svg and NAME.txt into the folder; a number is added where they exist. Raises OSError."""
    stem = re.sub(r"[^\w.-]+", "-", name).strip("-") or "nnwatch"
    number, path = 1, folder / f"{stem}.svg"
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.svg"
    with path.open("x", encoding="utf-8") as file:
        file.write(svg(rows, name))
    path.with_suffix(".txt").write_text(text(rows), "utf-8")
    return path
