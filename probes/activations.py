"""Output of the activation layers: moments, dead units, saturation.

Everything is reduced while the layer's output exists: an in-place ReLU overwrites its input, and the next layer may
overwrite this one's output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .fetch import Arrays, Fetch
from .sample import Sample
from .subsample import strided

WINDOW = 512
"""Samples over which a unit must stay silent to count as dead: one batch of 32 overstates by 3 to 20 points."""
SAMPLED = 4096
REUSED = 4
"""Calls of one module within a pass that are told apart (a ResNet's shared ReLU); later ones are left out."""
RELU = (nn.ReLU, nn.ReLU6, nn.Threshold)
FLAT = {nn.Tanh: (-0.97, 0.97), nn.Sigmoid: (0.03, 0.97)}
OTHER = (
    nn.GELU,
    nn.SiLU,
    nn.ELU,
    nn.LeakyReLU,
    nn.PReLU,
    nn.SELU,
    nn.CELU,
    nn.Mish,
    nn.Softplus,
    nn.Hardswish,
    nn.Hardtanh,
    nn.RReLU,
)
KINDS: tuple[type[nn.Module], ...] = (*RELU, *FLAT, *OTHER)


class _Seen(NamedTuple):
    part: NDArray[np.floating]
    dead: float
    saturated: float


class Activations:
    """Statistics of each activation by name, kept from one sampled step to the next (dead units need a window)."""

    def __init__(self) -> None:
        self._silent_since: dict[str, NDArray[np.int64]] = {}
        self._samples: dict[str, int] = {}
        self._now: dict[str, _Seen] = {}
        self._kinds: dict[str, str] = {}
        self._calls: dict[str, int] = {}

    def begin(self) -> None:
        """A forward pass of a sampled step begins."""
        self._calls.clear()

    def see(self, name: str, kind: type[nn.Module], output: torch.Tensor, channels: bool, fetch: Fetch) -> None:
        """Reduce one output. ``channels``: axis 1 holds the units (convolutions), else the last one does."""
        call = self._calls[name] = self._calls.get(name, 0) + 1
        if call > REUSED or output.dim() < 2 or not output.is_floating_point() or not output.numel():
            return
        if call > 1:
            name = f"{name}#{call}"
        self._kinds.setdefault(name, kind.__name__)
        output = output.detach()
        parts = [strided(output, SAMPLED)]
        if issubclass(kind, RELU):
            axis = 1 if channels else output.dim() - 1
            others = tuple(place for place in range(output.dim()) if place != axis)
            parts.append(output.amax(others) > 0)  # 20 times as fast as any() over all but one axis
        rows = output.shape[0] if channels else output.numel() // output.shape[-1]
        limits = FLAT.get(kind)

        def reduce(arrays: Arrays) -> None:
            part = arrays[0].copy()
            dead = self._dead(name, arrays[1] > 0, rows) if len(arrays) > 1 else np.nan
            flat = _outside(part, limits) if limits else np.nan
            self._now[name] = _Seen(part, dead, flat)

        fetch(parts, reduce)

    def _dead(self, name: str, fired: NDArray[np.bool_], rows: int) -> float:
        """Share of units that have not fired for WINDOW samples; NaN until so many were seen."""
        samples = self._samples[name] = self._samples.get(name, 0) + rows
        last = self._silent_since.get(name)
        if last is None or len(last) != len(fired):
            last = self._silent_since[name] = np.full(len(fired), samples - rows)
        last[fired] = samples
        return np.count_nonzero(samples - last >= WINDOW) / len(last) if samples >= WINDOW else np.nan

    def put(self, sample: Sample, labels: Callable[[list[str], list[str]], int]) -> None:
        """Write what this step's forward passes showed, a column for every activation ever seen."""
        if not self._now:
            return
        names = list(self._kinds)
        number = labels(names, list(self._kinds.values()))
        missing = _Seen(np.full(1, np.nan), np.nan, np.nan)
        parts, dead, saturated = zip(*(self._now.get(name, missing) for name in names), strict=True)
        for metric, values in zip(
            ("act.mean", "act.std", "act.dead", "act.saturated"), (*_mean_std(parts), dead, saturated), strict=True
        ):
            if not np.isnan(values).all():
                sample.put(metric, values, number)
        self._now.clear()


def _outside(part: NDArray[np.floating], limits: tuple[float, float]) -> float:
    with np.errstate(invalid="ignore"):
        return np.count_nonzero((part < limits[0]) | (part > limits[1])) / part.size


def _mean_std(parts: Sequence[NDArray[np.floating]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each part: of all at once, as one operation of numpy costs more than its work."""
    sizes = np.array([len(part) for part in parts])
    starts = np.add.accumulate(sizes) - sizes
    values = np.concatenate(parts).astype(np.float64)
    with np.errstate(all="ignore"):
        mean = np.add.reduceat(values, starts) / sizes
        values -= np.repeat(mean, sizes)
        values *= values
        return mean, np.sqrt(np.add.reduceat(values, starts) / sizes)
