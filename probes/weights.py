"""How far a step moved each parameter: ||w after - w before|| / ||w before||.

From the real change, so that momentum, weight decay, clipping and the optimizer's own scaling are all in it. Of a
parameter with more than ``SAMPLED`` elements a strided part stands for the whole (ratio off by 1.5 % at the 90th
percentile on a small language model; exact below).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from . import kernel
from .fetch import Arrays, Fetch
from .subsample import strided

SAMPLED = 1024

Done = Callable[[np.ndarray, np.ndarray], None]


class Snapshot:
    """Parameters before a step; its views of the user's weights do not outlive ``compare``."""

    def __init__(self, parameters: list[torch.Tensor], copy: bytearray | None = None) -> None:
        """``copy``: what a routine sample has taken of them already."""
        self._parameters = parameters
        self._copy = copy if kernel.native is not None and copy is not None else kernel.snapshot(parameters, SAMPLED)
        if self._copy is None:
            self._parts = _parts(parameters)
            self._sizes = np.array([_local(parameter).numel() for parameter in parameters])
            self._places = [parameter.data_ptr() for parameter in parameters]
            self._before = torch.cat(self._parts) if copy is None else torch.frombuffer(copy, dtype=torch.float32)

    def compare(self, fetch: Fetch, done: Done) -> None:
        """After the step: ``done(norm, ratio)``, float64 (len(parameters),); the ratio of a zero parameter is NaN."""
        if self._copy is None:
            self._compare(fetch, done)
        elif (found := kernel.compare(self._parameters, self._copy)) is not None:
            done(*found)

    def _compare(self, fetch: Fetch, done: Done) -> None:
        if [parameter.data_ptr() for parameter in self._parameters] != self._places:  # it has got other storage
            self._parts = _parts(self._parameters)
        after = torch.cat(self._parts)
        counts = np.array([len(part) for part in self._parts])
        starts = np.add.accumulate(counts) - counts
        sizes = self._sizes
        self._parts = []

        def reduce(arrays: Arrays) -> None:
            pair = np.array(arrays, np.float64)
            with np.errstate(all="ignore"):
                pair[1] -= pair[0]
                pair *= pair
                sums = np.add.reduceat(np.pad(pair, ((0, 0), (0, 1))), starts, 1)  # an empty part may be the last
                weight, change = np.sqrt(np.where(counts > 0, sums, 0.0))
                done(weight * np.sqrt(sizes / np.maximum(counts, 1)), np.where(weight > 0, change / weight, np.nan))

        fetch([self._before, after], reduce)


def _parts(parameters: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Views of the sampled elements of each parameter."""
    return [strided(_local(parameter), SAMPLED) for parameter in parameters]


def _local(parameter: torch.Tensor) -> torch.Tensor:
    """What this process holds of a parameter."""
    return parameter.to_local() if hasattr(parameter, "to_local") else parameter
