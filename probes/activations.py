"""Output of the activation layers: moments, dead units, saturation.

Everything is reduced while the layer's output exists: an in-place ReLU overwrites its input, and the next layer may
overwrite this one's output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from . import kernel
from .fetch import Arrays, Fetch
from .kernel import Activation
from .sample import Sample
from .subsample import mean_std, strided

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW = 512
"""Samples over which a unit must stay silent to count as dead: one batch of 32 overstates by 3 to 20 points."""
SAMPLED = 2048
"""Elements of an output: its standard deviation is known to 2 %. Each is a line of memory that the caches no longer
hold."""
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
EVERYWHERE = (-np.inf, np.inf)
KINDS: tuple[type[nn.Module], ...] = (*RELU, *FLAT, *OTHER)
METRICS = ("act.mean", "act.std", "act.dead", "act.saturated")
"""In the order of the fields of ``Activation``."""
MISSING = Activation(np.nan, np.nan, np.nan, np.nan)


class Activations:
    """Statistics of each activation by name, kept from one sampled step to the next (dead units need a window)."""

    def __init__(self) -> None:
        self.fired: dict[str, bytearray] = {}
        self.samples: dict[str, int] = {}
        self._now: dict[str, Activation] = {}
        self._kinds: dict[str, str] = {}
        self._calls: dict[str, int] = {}
        self.plain = True
        """All that the last pass showed is for a routine sample."""

    @property
    def names(self) -> list[str]:
        """In the order of the columns."""
        return list(self._kinds)

    def take(self, found: Mapping[str, Activation]) -> None:
        """What another way has found in this step."""
        self._now |= found

    def begin(self) -> None:
        """A forward pass of a sampled step begins."""
        self._calls.clear()
        self.plain = True

    def see(self, name: str, kind: type[nn.Module], output: torch.Tensor, channels: bool, fetch: Fetch) -> None:
        """Reduce one output. ``channels``: axis 1 holds the units (convolutions), else the last one does."""
        call = self._calls[name] = self._calls.get(name, 0) + 1
        if call > REUSED or output.dim() < 2 or not output.is_floating_point() or not output.numel():
            return
        if call > 1:
            name = f"{name}#{call}"
        self._kinds.setdefault(name, kind.__name__)
        axis = 1 if channels else output.dim() - 1
        rows = output.shape[0] if channels else output.numel() // output.shape[-1]
        limits = FLAT.get(kind, EVERYWHERE)
        fired = self._units(name, output.shape[axis], rows) if issubclass(kind, RELU) else None
        now = self.samples.get(name, 0)
        native = kernel.activation(output, SAMPLED, limits, fired, channels, now, WINDOW)
        if native is not None:
            self._now[name] = native
            return
        self.plain &= kernel.native is None and kernel.plain(output)
        output = output.detach()
        parts = [strided(output, SAMPLED)]
        if fired is not None:
            others = tuple(place for place in range(output.dim()) if place != axis)
            parts.append(~(output.amax(others) <= 0))  # 20 times as fast as any() over all but one axis

        def reduce(arrays: Arrays) -> None:
            part = arrays[0]
            mean, std = mean_std(part)
            dead = np.nan if fired is None else silent(fired, arrays[1] > 0, now)
            self._now[name] = Activation(mean, std, dead, _outside(part, limits))

        fetch(parts, reduce)

    def _units(self, name: str, units: int, rows: int) -> bytearray:
        """When each unit last fired, in samples; ``rows`` more are there now."""
        before = self.samples.get(name, 0)
        self.samples[name] = before + rows
        fired = self.fired.get(name)
        if fired is None or len(fired) != 8 * units:
            fired = self.fired[name] = bytearray(np.full(units, before, np.int64).tobytes())
        return fired

    def put(self, sample: Sample, labels: Callable[[list[str], list[str]], int]) -> None:
        """Write what this step's forward passes showed, a column for every activation ever seen."""
        if not self._now:
            return
        names = list(self._kinds)
        number = labels(names, list(self._kinds.values()))
        table = np.array([self._now.get(name, MISSING) for name in names])
        for metric, values in zip(METRICS, table.T, strict=True):
            if not np.isnan(values).all():
                sample.put(metric, values, number)
        self._now.clear()


def silent(fired: bytearray, firing: NDArray[np.bool_], now: int) -> float:
    """Share of the dead units; ``fired`` and ``now`` as of ``kernel.activation``."""
    last = np.frombuffer(fired, np.int64)
    last[firing] = now
    return np.count_nonzero(now - last >= WINDOW) / len(last) if now >= WINDOW else np.nan


def _outside(part: NDArray[np.floating], limits: tuple[float, float]) -> float:
    if limits is EVERYWHERE:
        return np.nan
    with np.errstate(invalid="ignore"):
        return np.count_nonzero((part < limits[0]) | (part > limits[1])) / part.size
