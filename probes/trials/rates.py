"""The rate of an optimizer for the time of one step."""

from __future__ import annotations

from typing import Any

import torch


class Rates:
    """Sets rates before a step and puts the script's own back after it, so that no scheduler notices. Groups keep
    their ratios; a rate that is a tensor is filled in place (also that of an optimizer of Keras)."""

    def __init__(self) -> None:
        self.present = 0.0
        """The script's own, the highest of all groups."""
        self.groups: list[float] = []
        """Each one's, as a multiple of it."""
        self.refused = False
        """Has an optimizer kept its own?"""
        self._own: dict[int, list[float]] = {}
        self._before: list[tuple[dict[str, Any], float]] = []

    def set(self, optimizer: torch.optim.Optimizer, rate: float) -> None:
        groups = optimizer.param_groups
        if any(group.get("lr") is None for group in groups):  # it finds its own (Adafactor)
            self.refused = True
            return
        if id(optimizer) not in self._own:
            self._own[id(optimizer)] = [max(float(g["lr"]), float(g.get("initial_lr", 0.0))) for g in groups]
            every = [own for owns in self._own.values() for own in owns]
            self.present = max(every)
            self.groups = [own / self.present if self.present else 1.0 for own in every]
        for group, own in zip(groups, self._own[id(optimizer)], strict=True):
            self._before.append((group, float(group["lr"])))
            _put(group, rate * (own / self.present if self.present else 1.0))
        wanted = [float(group["lr"]) for group in groups]
        self.refused |= [float(group["lr"]) for group in optimizer.param_groups] != wanted

    def back(self) -> None:
        """As they were before the step."""
        while self._before:
            _put(*self._before.pop())


def _put(group: dict[str, Any], rate: float) -> None:
    if isinstance(group["lr"], torch.Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate
