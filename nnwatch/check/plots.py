"""Drawings of a check's page: curves, bars and small pictures, as SVG and PNG inside the page itself."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 640, 200, 56, 22, 12
_COLOURS = ("#0072b2", "#d55e00", "#009e73")
"""Blue, vermilion and green of the Okabe-Ito palette."""


class Mark(NamedTuple):
    """A line across a curve at ``x`` (upright) or ``y`` (level)."""

    label: str
    x: float | None = None
    y: float | None = None


class _Axis:
    """Where a value lies between two ends of the drawing; on a log scale where the values span over a hundred times."""

    def __init__(self, values: Sequence[float], begin: float, end: float, log: bool) -> None:
        self.log = log and min(values) > 0
        ends = [self._of(value) for value in (min(values), max(values))]
        self.low, self.span = ends[0], (ends[1] - ends[0]) or 1.0
        self.begin, self.end = begin, end

    def _of(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def __call__(self, value: float) -> float:
        share = (self._of(value) - self.low) / self.span if value > 0 or not self.log else 0.0
        return self.begin + min(max(share, 0.0), 1.0) * (self.end - self.begin)

    def at(self, share: float) -> str:
        value = self.low + share * self.span
        return f"{10**value if self.log else value:.3g}"


def curve(
    x: Sequence[float], lines: Sequence[Sequence[float | None]], marks: Sequence[Mark], log_x: bool = False
) -> str:
    """Curves over ``x``; what is not finite is a gap. Empty where there is nothing to draw."""
    known = [v for line in lines for v in line if v is not None and math.isfinite(v)]
    if len(x) < 2 or not known:
        return ""
    across = _Axis(x, _LEFT, _WIDTH - 8, log_x)
    up = _Axis(known, _HEIGHT - _BOTTOM, _TOP, min(known) > 0 and max(known) > 100 * min(known))
    parts = [_frame(across, up)]
    for colour, line in zip(_COLOURS, lines, strict=False):
        points = [(across(a), up(b)) for a, b in zip(x, line, strict=False) if b is not None and math.isfinite(b)]
        written = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{written}"/>')
    for mark in marks:
        if mark.x is not None:
            a = across(mark.x)
            parts.append(f'<line class=mark x1="{a:.1f}" x2="{a:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>')
            side = f'x="{a + 4:.1f}"' if a < 0.85 * _WIDTH else f'x="{a - 4:.1f}" text-anchor="end"'
            parts.append(f'<text {side} y="{_TOP + 8}">{escape(mark.label)}</text>')
        elif mark.y is not None:
            b = up(mark.y)
            parts.append(f'<line class=mark x1="{_LEFT}" x2="{_WIDTH}" y1="{b:.1f}" y2="{b:.1f}"/>')
            parts.append(f'<text x="{_WIDTH - 8}" y="{b - 4:.1f}" text-anchor="end">{escape(mark.label)}</text>')
    return _svg(parts)


def bars(counts: Sequence[float], labels: Sequence[str]) -> str:
    """A bar for each count; ``labels`` as many, or the first and the last."""
    if not counts or not max(counts) > 0:
        return ""
    each = (_WIDTH - _LEFT - 8) / len(counts)
    up = _Axis([0.0, max(counts)], _HEIGHT - _BOTTOM, _TOP, log=False)
    parts = [f'<text x="{_LEFT - 6}" y="{_TOP + 8}" text-anchor="end">{max(counts):,.0f}</text>']
    for i, count in enumerate(counts):
        y = up(count)
        place = f'x="{_LEFT + i * each:.1f}" y="{y:.1f}" width="{max(each - 1, 1):.1f}"'
        parts.append(f'<rect fill="{_COLOURS[0]}" {place} height="{_HEIGHT - _BOTTOM - y:.1f}"/>')
    several = len(labels) == len(counts) and len(labels) <= 20
    for i, label in enumerate(labels):
        x = _LEFT + (i + 0.5) * each if several else (_LEFT, _WIDTH - 8)[min(i, 1)]
        anchor = "middle" if several else ("start", "end")[min(i, 1)]
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{escape(label)}</text>')
    return _svg(parts)


def picture(size: Sequence[int], pixels: str, scale: int = 3) -> str:
    """Grey or RGB bytes (base64; ``size`` channels, height, width) as an image."""
    channels, height, width = size
    return f'<img width={width * scale} height={height * scale} src="{_png(channels, height, width, pixels)}">'


def _png(channels: int, height: int, width: int, pixels: str) -> str:
    """A data address (PNG specification, 8 bits a channel, no filter)."""
    raw, row = base64.b64decode(pixels), width * channels
    lines = b"".join(b"\0" + raw[i * row : (i + 1) * row] for i in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 0, 0, 0, 0)
    made = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return f"data:image/png;base64,{base64.b64encode(made).decode()}"


def _frame(across: _Axis, up: _Axis) -> str:
    """The axes with three numbers each."""
    base = _HEIGHT - _BOTTOM
    parts = [f'<line class=axis x1="{_LEFT}" x2="{_WIDTH}" y1="{base}" y2="{base}"/>']
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        x, y = _LEFT + share * (_WIDTH - 8 - _LEFT), base + share * (_TOP - base)
        parts.append(f'<text x="{x:.0f}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{across.at(share)}</text>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{up.at(share)}</text>')
    return "".join(parts)


def _svg(parts: Sequence[Any]) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}">{"".join(parts)}</svg>'
