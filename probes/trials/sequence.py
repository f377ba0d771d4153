"""Targets that are an input some positions later: which input, and along which axis its positions lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

SHIFTS = 4
ALIKE = 0.95
"""Share of the targets that have to be what the input is so many positions later."""
LEAST = 3
"""Positions that are compared, at least."""


class Order(NamedTuple):
    """``input`` is the place of the one that is predicted, ``time`` the axis of its positions (0 or 1, the other one
    holds the samples), and the targets are it ``shift`` positions later."""

    input: int
    time: int
    shift: int


def order(inputs: Sequence[torch.Tensor], target: torch.Tensor) -> Order | None:
    """Of an encoder and a decoder only the decoder's input is the answer some positions later: that one is found by
    its values. None where none is. An input that is shifted comes before one that is the target itself."""
    found = [
        Order(place, time, shift)
        for place, values in enumerate(inputs)
        for time in (1, 0)
        if (shift := _shift(values, target, time)) is not None
    ]
    return max(found, key=lambda one: one.shift > 0, default=None)


def _shift(values: torch.Tensor, target: torch.Tensor, time: int) -> int | None:
    """Where one shift alone makes them alike: padding and constants are alike at any."""
    if values.dim() < 2 or not values.numel() or values.is_floating_point() != target.is_floating_point():
        return None
    moved = values if time == 1 else values.transpose(0, 1)
    inputs = moved.reshape(*moved.shape[:2], -1)
    rows, _, width = inputs.shape
    if target.numel() % (rows * width):
        return None
    wanted = target.reshape(rows, -1, width) if time == 1 else target.reshape(-1, rows, width).transpose(0, 1)
    alike = [shift for shift in range(min(SHIFTS, inputs.shape[1])) if _alike(inputs[:, shift:], wanted)]
    return alike[0] if len(alike) == 1 else None


def _alike(inputs: torch.Tensor, wanted: torch.Tensor) -> bool:
    length = min(inputs.shape[1], wanted.shape[1])
    mine, theirs = wanted[:, :length], inputs[:, :length].to(wanted.device)
    kept = mine >= 0 if not mine.is_floating_point() else torch.ones_like(mine, dtype=torch.bool)
    return length >= LEAST and bool(kept.any()) and float((mine == theirs)[kept].float().mean()) >= ALIKE
