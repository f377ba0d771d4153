"""Gradient noise scale from accumulated micro-batches (McCandlish et al. 2018, appendix A.1).

The gradient of one micro-batch of b samples and that of all m have the squared norms |G|^2 + tr(S)/b and
|G|^2 + tr(S)/(m b) on average, so two norms give both; a factor 1/m in the loss cancels. One step says little:
numerator and denominator are averaged over the sampled steps before they are divided.
"""

from __future__ import annotations

KEPT = 0.9
"""Weight of the past in the averages."""
ENOUGH = 4
"""Steps before anything is said."""


class Noise:
    """One per segment."""

    def __init__(self) -> None:
        self._trace = 0.0
        self._square = 0.0
        self._steps = 0

    def scale(self, first: float, whole: float, micro: int, rows: float) -> float | None:
        """tr(S)/|G|^2 in samples, None while it is not known. ``first`` is the gradient's norm after one of ``micro``
        passes of ``rows`` samples each, ``whole`` after all of them."""
        mean = (whole / micro) ** 2
        trace = rows * (first**2 - mean) / (1 - 1 / micro)
        square = (micro * mean - first**2) / (micro - 1)
        if not trace - trace == square - square == 0.0:
            return None
        self._trace += (1 - KEPT) * (trace - self._trace)
        self._square += (1 - KEPT) * (square - self._square)
        self._steps += 1
        known = self._steps >= ENOUGH and self._trace > 0 and self._square > 0
        return self._trace / self._square if known else None
