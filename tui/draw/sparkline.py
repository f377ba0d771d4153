"""A curve one row high, in eighth blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from .grid import Codes

BARS = "▁▂▃▄▅▆▇█"
GAP = " "
BROKEN = "✗"
_CODES = np.array([ord(char) for char in BARS])


def spark_codes(share: Any, bad: Any | None = None) -> Codes:
    """Codes of the same shape as ``share``, the places on the axis (0 to 1, NaN: no data) from left to right.

    Columns without data between two that have some repeat the earlier one, so that a rarely sampled metric
    is still one line; ``bad`` marks the columns that hold a value which is not finite.
    """
    share = np.asarray(share, np.float64)
    at = np.where(np.isfinite(share), np.arange(share.shape[-1]), -1)
    last = np.maximum.accumulate(at, axis=-1)
    held = (last >= 0) & (np.arange(share.shape[-1]) <= at.max(axis=-1, keepdims=True, initial=-1))
    there = np.take_along_axis(share, np.maximum(last, 0), axis=-1)
    level = np.clip(np.where(held, there, 0) * len(BARS), 0, len(BARS) - 1).astype(int)
    codes = np.where(held, _CODES[level], ord(GAP))
    if bad is not None:
        codes[bad] = ord(BROKEN)
    return codes.astype(np.uint32)


def sparkline(share: Any, bad: Any | None = None) -> str:
    """One character a column."""
    return spark_codes(share, bad).astype("<u4").tobytes().decode("utf-32-le")


def bar(share: float, width: int) -> str:
    """A filled bar of ``width`` cells."""
    filled = round(min(max(share, 0.0), 1.0) * width) if share == share else 0
    return "━" * filled + "─" * (width - filled)
