"""BatchNorm's running statistics against those of the batch that it normalises with in training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .fetch import Arrays, Fetch
from .sample import Sample

PER_CHANNEL = 256
"""Values of each channel looked at, about."""


class BatchNorm:
    """Layers by name; those without running statistics are left out."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._found: dict[str, tuple[float, float]] = {}

    def see(self, name: str, layer: Any, args: tuple[torch.Tensor, ...]) -> None:
        """Before the layer runs: it changes its running statistics."""
        values: torch.Tensor = args[0].detach()
        mean, var = layer.running_mean, layer.running_var
        if mean is None or not layer.training or values.dim() < 2:
            return
        for axis in range(2, values.dim()):
            per_channel = values.numel() // values.shape[1]
            step = min(values.shape[axis], max(1, per_channel // PER_CHANNEL))
            values = values[(slice(None),) * axis + (slice(None, None, step),)]
        if values.numel() < 2 * values.shape[1]:
            return
        rows = values.transpose(0, 1).flatten(1).float()  # in two passes: torch.var_mean takes six times as long
        batch_mean = rows.mean(1)
        rows = rows - batch_mean[:, None]
        batch_var = rows.square_().sum(1) / (rows.shape[1] - 1)
        self._fetch([mean, var, batch_mean, batch_var], lambda arrays: self._compare(name, arrays))

    def _compare(self, name: str, arrays: Arrays) -> None:
        mean, var, batch_mean, batch_var = arrays
        known = batch_var > 0
        if known.any():
            ratio = var[known] / batch_var[known]
            shift = np.abs(mean - batch_mean)[known] / np.sqrt(batch_var[known])
            self._found[name] = float(np.median(ratio)), float(np.median(shift))

    def put(self, sample: Sample, labels: Callable[[list[str]], int]) -> None:
        if self._found:
            number = labels(list(self._found))
            ratio, shift = zip(*self._found.values(), strict=True)
            sample.detail("bn.variance.ratio", ratio, number)
            sample.detail("bn.mean.shift", shift, number)
            self._found.clear()
