"""BatchNorm's running statistics against those of the batch that it normalises with in training."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import gcd
from typing import Any

import numpy as np
import torch

from .fetch import Arrays, Fetch
from .sample import Sample

PER_CHANNEL = 256
"""Values of each channel looked at, about; at least one of each row."""
GOLDEN = 0.618
"""Part of a row from one place that is looked at to the next: they are soon spread evenly (Weyl 1916)."""


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
        if values.numel() < 2 * values.shape[1]:
            return
        rows = _by_channel(values).float()  # in two passes: torch.var_mean takes six times as long
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


def _by_channel(values: torch.Tensor) -> torch.Tensor:
    """(channels, n) of a tensor (rows, channels, ...), from all over it: at other places in every row, as what lies at
    the same ones, a dark border, is like nothing else."""
    rows = values.flatten(2) if values.dim() > 2 else values.unsqueeze(2)
    if rows.shape[0] * rows.shape[2] > 2 * PER_CHANNEL and rows.shape[2] > 1:
        each = -(-PER_CHANNEL // rows.shape[0])
        index = _places(rows.shape[0], each, rows.shape[2], rows.device)
        rows = rows.gather(2, index.expand(-1, rows.shape[1], -1))
    return rows.transpose(0, 1).flatten(1)


@lru_cache(maxsize=64)
def _places(rows: int, each: int, size: int, device: torch.device) -> torch.Tensor:
    """(rows, 1, each) places in a row of ``size``."""
    stride = max(1, round(GOLDEN * size))
    while gcd(stride, size) > 1:
        stride += 1
    return (torch.arange(rows * each, device=device) * stride % size).view(rows, 1, each)
