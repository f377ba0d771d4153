"""How far a step moved each parameter: ||w after - w before|| / ||w before||.

From the real change, so that momentum, weight decay, clipping and the optimizer's own scaling are all in it. Of a
parameter with more than ``SAMPLED`` elements a strided part stands for the whole (ratio off by 1.5 % at the 90th
percentile on a small language model; exact below).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from .fetch import Arrays, Fetch
from .subsample import strided

SAMPLED = 1024

Done = Callable[[np.ndarray, np.ndarray], None]


class Snapshot:
    """Parameters before a step; they are views into the user's weights only while it is made."""

    def __init__(self, parameters: Sequence[torch.Tensor]) -> None:
        self._parameters = parameters
        self._sizes = [parameter.numel() for parameter in parameters]
        self._before, self._counts = _gathered(parameters)

    def compare(self, fetch: Fetch, done: Done) -> None:
        """After the step: ``done(norm, ratio)``, float64 (len(parameters),); the ratio of a zero parameter is NaN."""
        after, _ = _gathered(self._parameters)
        counts, sizes = np.array(self._counts), np.array(self._sizes)

        def reduce(arrays: Arrays) -> None:
            before, moved = arrays[0].astype(np.float64), arrays[1].astype(np.float64)
            starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
            with np.errstate(all="ignore"):
                weight = np.sqrt(np.add.reduceat(before * before, starts))
                change = np.sqrt(np.add.reduceat(np.square(moved - before), starts))
                ratio = np.where(weight > 0, change / weight, np.nan)
                done(weight * np.sqrt(sizes / counts), ratio)

        fetch([self._before, after], reduce)


def _gathered(parameters: Sequence[torch.Tensor]) -> tuple[torch.Tensor, list[int]]:
    """A copy of the sampled elements of all parameters in one row, and how many are of each."""
    parts = [strided(p.to_local() if hasattr(p, "to_local") else p, SAMPLED) for p in parameters]
    return torch.cat(parts), [len(part) for part in parts]
