"""Inks to colours, for light and dark themes, and what a poor terminal shows. Curves in Okabe–Ito colours, heat in
cividis."""

from __future__ import annotations

import os
import sys
from functools import lru_cache

from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.color import Color as Background
from textual.filter import LineFilter

from .draw.grid import HEAT_LEVELS, SERIES_COUNT, Ink, plain
from .draw.heat import cividis

Rgb = tuple[int, int, int]

# Okabe & Ito, "Color Universal Design" (2008), in an order that keeps neighbours apart on each background.
_DARK_SERIES: tuple[Rgb, ...] = (
    (86, 180, 233), (230, 159, 0), (0, 188, 138), (204, 121, 167), (240, 228, 66), (213, 94, 0),
)  # fmt: skip
_LIGHT_SERIES: tuple[Rgb, ...] = (
    (0, 114, 178), (213, 94, 0), (0, 128, 95), (170, 75, 130), (140, 110, 0), (40, 40, 40),
)  # fmt: skip
_DARK = {
    Ink.TEXT: (224, 224, 224), Ink.DIM: (128, 134, 142), Ink.TITLE: (255, 255, 255), Ink.GHOST: (70, 74, 80),
    Ink.CURSOR: (255, 255, 255), Ink.GOOD: (0, 188, 138), Ink.INFO: (86, 180, 233), Ink.WATCH: (204, 160, 220),
    Ink.WARN: (240, 200, 60), Ink.ERROR: (255, 112, 80), Ink.FATAL: (255, 80, 80), Ink.KEY: (255, 176, 72),
}  # fmt: skip
_LIGHT = {
    Ink.TEXT: (30, 30, 30), Ink.DIM: (105, 110, 116), Ink.TITLE: (0, 0, 0), Ink.GHOST: (200, 203, 207),
    Ink.CURSOR: (0, 0, 0), Ink.GOOD: (0, 110, 80), Ink.INFO: (0, 100, 160), Ink.WATCH: (130, 60, 140),
    Ink.WARN: (140, 95, 0), Ink.ERROR: (190, 50, 0), Ink.FATAL: (180, 0, 0), Ink.KEY: (150, 70, 0),
}  # fmt: skip
_BOLD = {Ink.KEY, Ink.TITLE, Ink.WARN, Ink.ERROR, Ink.FATAL}
_BAND_SHARE = 0.38
"""How much of a curve's colour its raw band keeps over the background."""


def _style(rgb: Rgb, back: Rgb | None = None, bold: bool = False) -> Style:
    return Style(color=Color.from_rgb(*rgb), bgcolor=Color.from_rgb(*back) if back else None, bold=bold)


def _mix(front: Rgb, back: Rgb, share: float) -> Rgb:
    red, green, blue = (round(f * share + b * (1 - share)) for f, b in zip(front, back, strict=True))
    return red, green, blue


def _on(back: Rgb) -> Rgb:
    """Black or white, whichever reads better on ``back``."""
    return (0, 0, 0) if 0.299 * back[0] + 0.587 * back[1] + 0.114 * back[2] > 120 else (255, 255, 255)


@lru_cache(maxsize=8)
def palette(dark: bool, background: Rgb) -> list[Style]:
    """The style of every ink, by its number."""
    base, series = (_DARK, _DARK_SERIES) if dark else (_LIGHT, _LIGHT_SERIES)
    styles = [_style(base[Ink.TEXT])] * (Ink.HEAT + HEAT_LEVELS)
    for ink, rgb in base.items():
        styles[ink] = _style(rgb, bold=ink in _BOLD)
    styles[Ink.SELECTED] = _style(base[Ink.TITLE], _mix(series[0], background, 0.35), bold=True)
    for i, rgb in enumerate(series[:SERIES_COUNT]):
        styles[Ink.SERIES + i] = _style(rgb, bold=False)
        styles[Ink.BAND + i] = _style(_mix(rgb, background, _BAND_SHARE))
    for level in range(HEAT_LEVELS):
        back = cividis(level / (HEAT_LEVELS - 1))
        styles[Ink.HEAT + level] = _style(_on(back), back)
    return styles


def ascii_terminal() -> bool:
    """Whether ASCII is asked for or all that the terminal shows: the font of the Linux console has neither braille nor
    signs."""
    if os.environ.get("NNWATCH_ASCII"):
        return True
    return os.environ.get("TERM") in ("linux", "dumb") or "utf" not in (sys.stdout.encoding or "").lower()


class Ascii(LineFilter):
    """Turns every line of every widget to ASCII, cell for cell."""

    def apply(self, segments: list[Segment], background: Background) -> list[Segment]:
        return [segment if segment.text.isascii() else _plain(segment) for segment in segments]


def _plain(segment: Segment) -> Segment:
    widths = [(char, cell_len(char)) for char in segment.text]
    return Segment("".join(f"{plain(char):{cells}.{cells}}" for char, cells in widths), *segment[1:])
