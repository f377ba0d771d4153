"""The learning-rate range test (Smith, "Cyclical Learning Rates for Training Neural Networks", 2017): arithmetic."""

from __future__ import annotations

import math
from itertools import accumulate, pairwise
from statistics import fmean, stdev
from typing import Any

STEPS = 120
LOWEST, HIGHEST = 1e-6, 30.0
SMOOTH = 0.8
"""Of the moving average of the losses."""
RISE, ABOVE = 1.5, 1.1
"""Diverged: the average is so many times its minimum, and so many times the loss of the first steps ..."""
APART = 1.5
"""... and above that by so many times its standard deviation, of which the average has a third."""
WINDOW = 11
"""The slope is taken over one part in so many of the ramp, which is two thirds of a power of ten: over less of it the
place that is found for the same net lies up to four times apart from seed to seed, over this it does not."""
QUIET = 6
"""The first steps, one in so many, have rates that are too low to teach anything."""
PART = 0.2
"""Of the whole fall, which comes before the place that is suggested."""


class Ramp:
    """Gives one rate after the other and takes the loss before each step."""

    def __init__(self, steps: int = STEPS) -> None:
        self._steps = steps
        self._first = steps // QUIET
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.averages: list[float] = []
        self.diverged = False
        self._sum = 0.0

    @property
    def rate(self) -> float:
        """Of the coming step."""
        share = min(1.0, len(self.rates) / max(1, self._steps - 1))
        return float(LOWEST * (HIGHEST / LOWEST) ** share)

    @property
    def over(self) -> bool:
        return self.diverged or len(self.rates) >= self._steps

    def took(self, loss: float) -> None:
        """A step was made at ``rate``, from weights whose loss was this."""
        self.rates.append(self.rate)
        self.losses.append(loss)
        if not math.isfinite(loss):
            self.diverged = True
            return
        self._sum = SMOOTH * self._sum + (1 - SMOOTH) * loss
        self.averages.append(self._sum / (1 - SMOOTH ** (len(self.averages) + 1)))
        if len(self.losses) > self._first:
            least, last = min(self.averages), self.averages[-1]
            level, noise = self._quiet
            above = level + max((ABOVE - 1) * abs(level), APART * noise)
            self.diverged = last > least + (RISE - 1) * abs(least) and last > above

    @property
    def _quiet(self) -> tuple[float, float]:
        """Mean and standard deviation of the losses of the first steps, which teach nothing."""
        quiet = self.losses[: self._first]
        return fmean(quiet), stdev(quiet)

    def found(self) -> dict[str, Any]:
        """``steepest`` and ``suggested``, ``ceiling``, ``rates`` and ``losses`` of the trial."""
        steepest = self._steepest()
        finite = [loss if math.isfinite(loss) else None for loss in self.losses]
        return {
            "rates": self.rates,
            "losses": finite,
            "steepest": steepest,
            "suggested": self.rates[steepest] if steepest is not None else None,
            "ceiling": self.rates[-1] if self.diverged else None,
        }

    def _steepest(self) -> int | None:
        """Where the loss fell fastest on its way from the losses of the first steps, which teach nothing, to its
        minimum; rates are equally far apart on a logarithmic scale. What comes before a part of that fall is only the
        difference between batches.

        The moving average tells how far the fall goes, but shows it late, by up to twice the rate: its place is looked
        for with what comes before and after it alike. Coming down from a rise counts for nothing.
        """
        averages = self.averages
        if len(averages) <= self._first:
            return None
        least = averages.index(min(averages))
        level, noise = self._quiet
        fall = level - averages[least]
        if fall <= noise:
            return None
        lowest = [*accumulate(_centred(self.losses[: least + 1]), min)]
        slopes = [after - before for before, after in pairwise(lowest)]
        half = max(2, self._steps // (2 * WINDOW))
        smooth = {
            place: fmean(slopes[place - half : place + half + 1])
            for place in range(half, len(slopes) - half)
            if lowest[place + 1] <= level - PART * fall
        }
        return min(smooth, key=lambda place: smooth[place]) if smooth else None


def _centred(losses: list[float]) -> list[float]:
    """Means around each loss, with weights that fall off to both sides as those of the moving average do to one."""
    weights = [SMOOTH**apart for apart in range(len(losses))]
    found = []
    for place in range(len(losses)):
        mine = [weights[abs(place - other)] for other in range(len(losses))]
        found.append(sum(weight * loss for weight, loss in zip(mine, losses, strict=True)) / sum(mine))
    return found
