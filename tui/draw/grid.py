"""A rectangle of cells: one character code and one ink each. Everything on the screen is drawn into these."""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from unicodedata import combining, east_asian_width

import numpy as np
from numpy.typing import NDArray

from .text import wrapped

Codes = NDArray[np.uint32]
Inks = NDArray[np.uint8]

HEAT_LEVELS = 32
SERIES_COUNT = 6


class Ink(IntEnum):
    """What a cell means; the theme decides how that looks. ``SERIES + i`` and ``BAND + i`` colour curve i
    and its raw band, ``HEAT + k`` is level k of the heat scale as a background."""

    TEXT = 0
    DIM = 1
    TITLE = 2
    GHOST = 3
    CURSOR = 4
    SELECTED = 5
    GOOD = 6
    INFO = 7
    WATCH = 8
    WARN = 9
    ERROR = 10
    FATAL = 11
    KEY = 12
    SERIES = 16
    BAND = 24
    HEAT = 32


SEVERITY_INK = {"info": Ink.INFO, "watch": Ink.WATCH, "warn": Ink.WARN, "error": Ink.ERROR, "fatal": Ink.FATAL}
SEVERITY_GLYPH = {"info": "i", "watch": "◦", "warn": "!", "error": "✗", "fatal": "✗"}
"""Severity is said by glyph and word as well, never by colour alone."""

_ASCII = str.maketrans(
    "←┴↑↓╎─━│┃┤┬┄╍▲▼✗✓●○◦■▶‖·…→↳░▒▓█▏▕▁▂▃▄▅▆▇×–—•≈°²−└├≥≤±",
    "<'^v|-=||++-~^vxv*o.#>=.~>\\.:%#||__.-=+*x--o~'2-`|><~",
)


def plain(text: str) -> str:
    """The text in ASCII, one character for one, for terminals that have no more."""
    return text.translate(_ASCII).encode("ascii", "replace").decode("ascii")


@lru_cache(maxsize=4096)
def _cells(text: str) -> Codes:
    """Codes of the text's cells; the second cell of a wide character is 0, control characters become blanks."""
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    if text.isprintable() and (codes < 0x300).all():  # Latin: one cell each
        return codes
    cells: list[int] = []
    for char in text:
        if combining(char):
            continue
        cells.append(ord(char) if char.isprintable() else 32)
        if east_asian_width(char) in "WF":
            cells.append(0)
    return np.asarray(cells, np.uint32)


class Grid:
    """``codes`` uint32 (height, width), ``inks`` uint8 of the same shape."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.codes: Codes = np.full((height, width), 32, np.uint32)
        self.inks: Inks = np.zeros((height, width), np.uint8)

    def put(self, x: int, y: int, text: str, ink: int = Ink.TEXT, width: int | None = None) -> int:
        """Write text from cell (x, y), cut with an ellipsis at ``width`` cells or the edge; the x behind it."""
        room = self.width - x if width is None else min(width, self.width - x)
        if not 0 <= y < self.height or room <= 0 or x < 0 or not text:
            return x
        if text.isascii() and text.isprintable():
            cells = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        else:
            cells = _cells(text)
        if len(cells) > room:
            cells = cells[:room].copy()
            cells[-1] = ord("…")
            if room > 1 and cells[-2] and east_asian_width(chr(cells[-2])) in "WF":
                cells[-2] = ord(" ")
        self.codes[y, x : x + len(cells)] = cells
        self.inks[y, x : x + len(cells)] = ink
        return x + len(cells)

    def right(self, x: int, y: int, text: str, ink: int = Ink.TEXT) -> int:
        """Write text that ends before cell x; the x of its first cell."""
        start = max(x - (len(text) if text.isascii() else len(_cells(text))), 0)
        self.put(start, y, text, ink, x - start)
        return start

    def middle(self, text: str, ink: int, left: int = 2) -> None:
        """Write a remark into the middle of an empty picture, in as many lines as it needs."""
        lines = wrapped(text, max(self.width - 2 * left, 8))
        for y, line in enumerate(lines, max((self.height - len(lines)) // 2, min(1, self.height - 1))):
            self.put(left, y, line, ink)

    def fill(self, y: int, ink: int, x: int = 0, width: int | None = None) -> None:
        """Colour a stretch of row y and leave its text."""
        self.inks[y, x : self.width if width is None else x + width] = ink

    def lines(self) -> list[str]:
        """The rows as text."""
        return ["".join(map(chr, row[row > 0])) for row in self.codes]
