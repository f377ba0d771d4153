"""Tensors in what scripts hand around: nested tuples, lists and mappings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch


def tensors(values: Any, depth: int = 4) -> Iterable[torch.Tensor]:
    """The tensors in nested tuples, lists and mappings, in order."""
    if isinstance(values, torch.Tensor):
        yield values
    elif depth and isinstance(values, Mapping):
        yield from tensors(list(values.values()), depth - 1)
    elif depth and isinstance(values, list | tuple):
        for value in values:
            yield from tensors(value, depth - 1)


def rows(batch: Any) -> int:
    """Samples in a batch of a loader: rows of its first tensor, 0 if there is none."""
    while isinstance(batch, list | tuple) and batch:
        batch = batch[0]
    first = batch if isinstance(batch, torch.Tensor) else next(iter(tensors(batch)), None)
    return first.size(0) if first is not None and first.dim() else 0
