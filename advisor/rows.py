"""Rows that enter the model in training, by their fingerprints."""

from __future__ import annotations

import numpy as np

from .context import Context
from .window import finite


def come_again(at: Context) -> bool:
    """The same rows enter again and again: nothing changes them at random. A twentieth of those seen in the later half
    of the records were among those of the earlier half, and half as many as there would be if all stayed as they are: a
    change of a few kinds (a flip, gaps of one to three columns) makes the same row again by chance."""
    return at.has("input.rows") and at.once("rows again", ("input.rows",), lambda: _met(at, at.train_rows))


def _met(at: Context, count: int | None) -> bool:
    rows = at.view("input.rows").values
    earlier, later = (np.unique(finite(part)) for part in np.array_split(rows, 2))
    expected = min(1.0, len(earlier) / count) if count else 0.0
    return len(np.intersect1d(earlier, later)) > max(0.05, 0.5 * expected) * len(later)
