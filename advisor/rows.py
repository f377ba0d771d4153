"""Rows that enter the model in training, by their fingerprints."""

from __future__ import annotations

import numpy as np

from .context import Context
from .window import finite


def come_again(at: Context) -> bool:
    """The same rows enter again and again: nothing changes them at random. A twentieth of those seen in the later half
    of the records were among those of the earlier half."""
    return at.has("input.rows") and at.once("rows again", ("input.rows",), lambda: _met(at))


def _met(at: Context) -> bool:
    rows = at.view("input.rows").values
    earlier, later = (np.unique(finite(part)) for part in np.array_split(rows, 2))
    return len(np.intersect1d(earlier, later)) > 0.05 * len(later)
