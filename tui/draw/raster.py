"""Curves to characters: braille (2 × 4 dots a cell), quadrant blocks (2 × 2) or ASCII (1 × 1).

Curves occlude: in each cell the last curve that has a dot there wins, dots and colour, so that a bright line
stays readable on its band and colours never mix.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .grid import Codes, Inks

Symbols = Literal["braille", "block", "ascii"]

DOTS: dict[Symbols, tuple[int, int]] = {"braille": (2, 4), "block": (2, 2), "ascii": (1, 1)}
"""Dots of one cell: across, down."""

_BRAILLE_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], np.uint32)
_BLOCK_BITS = np.array([[1, 2], [4, 8]], np.uint32)
_BLOCKS = np.array([ord(char) for char in " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"], np.uint32)
_DASH = 3


class Trace(NamedTuple):
    """One curve in dots: rows ``top`` to ``bottom`` (0 is the upper edge) are set in each dot column.

    ``top > bottom`` means nothing in that column. ``char`` is what ASCII draws it with.
    """

    top: NDArray[np.int64]
    bottom: NDArray[np.int64]
    ink: int
    char: str = "*"
    dashed: bool = False


def trace(low: Any, high: Any, broken: Any, rows: int, ink: int, char: str = "*", dashed: bool = False) -> Trace:
    """Dot rows from places on the axis (0 bottom, 1 top; NaN where a column has no data).

    Empty columns between two with data are bridged by a straight line, and neighbours are joined, except
    across a column that is ``broken``: there a value was not finite, and the gap is the message.
    """
    columns = len(low)
    nothing = np.full(columns, rows), np.full(columns, -1)
    have = np.flatnonzero(np.isfinite(low) & np.isfinite(high))
    if len(have) == 0:
        return Trace(*nothing, ink, char, dashed)
    top, bottom = (
        np.clip(np.rint((1 - share) * (rows - 1)), -1, rows).astype(np.int64) for share in (high[have], low[have])
    )
    middle = (top + bottom) / 2
    breaks = np.concatenate(([0], np.cumsum(broken)))
    linked = breaks[have[1:] + 1] == breaks[have[:-1]]  # between neighbours, both included
    all_top, all_bottom = nothing
    between = np.arange(have[0], have[-1] + 1)
    before = np.searchsorted(have, between, side="right") - 1
    bridged = np.zeros(len(between), bool)
    inner = before < len(have) - 1
    bridged[inner] = linked[before[inner]]
    line = np.rint(np.interp(between, have, middle)).astype(np.int64)
    all_top[between[bridged]] = all_bottom[between[bridged]] = line[bridged]
    all_top[have], all_bottom[have] = top, bottom
    _join(all_top, all_bottom, broken)
    return Trace(all_top, all_bottom, ink, char, dashed)


def _join(top: NDArray[np.int64], bottom: NDArray[np.int64], broken: Any) -> None:
    """Stretch neighbouring columns towards each other until they touch."""
    drawn = top <= bottom
    pair = drawn[1:] & drawn[:-1] & ~(broken[1:] | broken[:-1])
    falls = np.flatnonzero(pair & (top[1:] - bottom[:-1] > 1))
    rises = np.flatnonzero(pair & (top[:-1] - bottom[1:] > 1))
    meet_falls = (top[falls + 1] + bottom[falls]) // 2
    meet_rises = (top[rises] + bottom[rises + 1]) // 2
    bottom[falls], top[falls + 1] = meet_falls, meet_falls + 1
    top[rises], bottom[rises + 1] = meet_rises + 1, meet_rises


def raster(traces: list[Trace], width: int, height: int, symbols: Symbols) -> tuple[Codes, Inks, NDArray[np.bool_]]:
    """Characters, inks and which cells have a dot, each (height, width). Traces have width × dots columns."""
    across, down = DOTS[symbols]
    codes: Codes = np.full((height, width), 32, np.uint32)
    inks: Inks = np.zeros((height, width), np.uint8)
    used = np.zeros((height, width), np.bool_)
    rows = np.arange(height * down)[:, None]
    dash = (np.arange(width * across) // _DASH) % 2 == 0
    for curve in traces:
        dots = (rows >= curve.top) & (rows <= curve.bottom)
        if curve.dashed and across > 1:
            dots &= dash
        cells = dots.reshape(height, down, width, across)
        if symbols == "ascii":
            hit = cells[:, 0, :, 0]
            packed: Any = np.full(hit.shape, ord(curve.char), np.uint32)
        else:
            bits = _BRAILLE_BITS if symbols == "braille" else _BLOCK_BITS
            packed = np.einsum("hdwa,da->hw", cells, bits)
            hit = packed > 0
            packed = packed + 0x2800 if symbols == "braille" else _BLOCKS[packed]
        np.copyto(codes, packed, where=hit, casting="unsafe")
        inks[hit] = curve.ink
        used |= hit
    return codes, inks, used
