"""A curve one row high, in eighth blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

BARS = "▁▂▃▄▅▆▇█"
GAP = " "
BROKEN = "✗"
_CODES = np.array([ord(char) for char in BARS])


def sparkline(share: Any, bad: Any | None = None) -> str:
    """One character a column; ``share`` is the place on the axis (0 to 1, NaN: no data).

    Columns without data between two that have some repeat the earlier one, so that a rarely sampled metric
    is still one line; ``bad`` marks the columns that hold a value which is not finite.
    """
    share = np.asarray(share, np.float64)
    have = np.isfinite(share)
    if have.any():
        last = np.maximum.accumulate(np.where(have, np.arange(len(share)), -1))
        until = len(share) - 1 - int(np.argmax(have[::-1]))
        held = (last >= 0) & (np.arange(len(share)) <= until)
        share = np.where(held, share[np.maximum(last, 0)], np.nan)
    level = np.clip(np.nan_to_num(share) * len(BARS), 0, len(BARS) - 1).astype(int)
    codes = np.where(np.isnan(share), ord(GAP), _CODES[level])
    if bad is not None:
        codes[bad] = ord(BROKEN)
    return codes.astype("<u4").tobytes().decode("utf-32-le")


def bar(share: float, width: int) -> str:
    """A filled bar of ``width`` cells."""
    filled = round(min(max(share, 0.0), 1.0) * width) if share == share else 0
    return "━" * filled + "─" * (width - filled)
