"""Exponential moving average, debiased, over a column that grows.

Debiased as in Adam (Kingma & Ba 2015): the weighted sum is divided by the sum of the weights, so that the
first values are not drawn towards zero; the same division leaves out what is not finite.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK = 256


class Ema:
    """y_n = sum(w^(n-i) x_i) / sum(w^(n-i)) over the finite x_i, i <= n; NaN where x_n is not finite."""

    def __init__(self, weight: float) -> None:
        self.weight = weight
        powers = weight ** np.arange(_BLOCK)
        lag = np.subtract.outer(np.arange(_BLOCK), np.arange(_BLOCK))
        self._matrix = np.where(lag >= 0, powers[np.abs(lag)], 0.0)
        self._decay = powers * weight
        self._state = np.zeros(2)  # weighted sums of the values and of the weights

    def extend(self, values: Any) -> NDArray[np.float32]:
        """The averages at the next values (n,)."""
        values = np.asarray(values, np.float64)
        good = np.isfinite(values)
        sums = np.empty((len(values), 2))
        both = np.stack([np.where(good, values, 0.0), good], axis=1)
        for at in range(0, len(values), _BLOCK):
            part = both[at : at + _BLOCK]
            n = len(part)
            out = self._matrix[:n, :n] @ part + self._decay[:n, None] * self._state
            sums[at : at + n] = out
            self._state = out[-1]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(good, sums[:, 0] / sums[:, 1], np.nan).astype(np.float32)
