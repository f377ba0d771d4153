"""The rate of an optimizer for the time of one step."""

from __future__ import annotations

import gc
import sys
from typing import Any

import torch


class Rates:
    """Sets rates before a step and puts the script's own back after it, so that no scheduler notices. Groups keep
    their ratios; a rate that is a tensor is filled in place."""

    def __init__(self) -> None:
        self.present = 0.0
        """The script's own, the highest of all groups."""
        self.groups: list[float] = []
        """Each one's, as a multiple of it."""
        self._own: dict[int, list[float]] = {}
        self._before: list[tuple[dict[str, Any], float]] = []

    def set(self, optimizer: torch.optim.Optimizer, rate: float) -> None:
        groups = optimizer.param_groups
        if id(optimizer) not in self._own:
            self._own[id(optimizer)] = [max(float(g["lr"]), float(g.get("initial_lr", 0.0))) for g in groups]
            every = [own for owns in self._own.values() for own in owns]
            self.present = max(every)
            self.groups = [own / self.present if self.present else 1.0 for own in every]
        for group, own in zip(groups, self._own[id(optimizer)], strict=True):
            self._before.append((group, float(group["lr"])))
            _put(group, rate * (own / self.present if self.present else 1.0))

    def back(self) -> None:
        """As they were before the step."""
        while self._before:
            _put(*self._before.pop())


def _put(group: dict[str, Any], rate: float) -> None:
    if isinstance(group["lr"], torch.Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


class KerasRates:
    """The same for optimizers of Keras, which are none of torch's; their rate is a variable."""

    def __init__(self) -> None:
        base = sys.modules["keras"].optimizers.Optimizer
        self._optimizers = [each for each in gc.get_objects() if isinstance(each, base) and each.built]
        self._own = [float(each.learning_rate) for each in self._optimizers]
        self.present = max(self._own, default=0.0)
        self.groups = [own / self.present for own in self._own] if self.present else []

    def set(self, optimizer: None, rate: float) -> None:
        for each, ratio in zip(self._optimizers, self.groups, strict=True):
            each.learning_rate = rate * ratio

    def back(self) -> None:
        for each, own in zip(self._optimizers, self._own, strict=True):
            each.learning_rate = own
