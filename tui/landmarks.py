"""Places of a run that one looks for: where epochs begin, where the learning rate jumps, where it was resumed."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnwatch.history import Track
from nnwatch.series import Series

_JUMP = 1.2
"""A rate that changes by more than this factor from one step to the next jumps; schedules glide."""

_LEAST = 0.02
"""A jump is at least this share of the largest rate so far: the end of a cosine is none."""


class Landmarks:
    """``epochs`` are first steps, ``rates`` the steps of jumps and whether the rate rose; both grow with the run."""

    def __init__(self) -> None:
        self.epochs: list[int] = []
        self.rates: list[tuple[int, bool]] = []
        self._top = 0.0
        self._taken = {"epoch": 0, "lr": 0}

    def update(self, track: Track, steps_per_epoch: Any) -> Landmarks:
        """Take the new records in. Where epochs were not counted, the length of the loader tells them."""
        epoch, rate = track.get("epoch"), track.get("lr")
        if epoch is not None:
            steps, before, after = self._new(epoch)
            self.epochs += steps[after > before].tolist()
        elif isinstance(steps_per_epoch, int) and steps_per_epoch > 0:
            self.epochs = list(
                range(track.segment.first_step + steps_per_epoch + 1, track.last_step + 1, steps_per_epoch)
            )
        if rate is not None:
            steps, before, after = self._new(rate)
            more, less = np.maximum(after, before), np.minimum(after, before)
            self._top = max(self._top, float(np.max(more, initial=0.0)))
            jump = (more > _JUMP * less) & (more - less > _LEAST * self._top)
            self.rates += zip(steps[jump].tolist(), (after > before)[jump].tolist(), strict=True)
        return self

    def _new(self, series: Series) -> tuple[Any, Any, Any]:
        """Steps of the new records, their values and those of the records before them."""
        first, self._taken[series.metric] = max(self._taken[series.metric], 1), len(series)
        return series.steps[first:], series.scalar[first - 1 : -1], series.scalar[first:]
