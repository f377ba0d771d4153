"""Moments of what enters the model and of what it is to predict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from . import kernel
from .fetch import Arrays, Fetch
from .kernel import Moments
from .subsample import mean_std, strided

SAMPLED = 65536
"""Values looked at, at most; a batch of photographs has millions."""


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


def moments(kind: str, values: Any, fetch: Fetch, put: Callable[[str, Any], None], most: int = SAMPLED) -> None:
    """``kind``.mean and .std of the first float tensor in ``values``; for the input also .min and .max."""
    first = next((tensor for tensor in tensors(values) if tensor.is_floating_point() and tensor.numel()), None)
    if first is None:
        return

    def done(found: Moments) -> None:
        put(f"{kind}.mean", found.mean)
        put(f"{kind}.std", found.std)
        if kind == "input":
            put("input.min", found.least)
            put("input.max", found.most)

    def reduce(arrays: Arrays) -> None:
        part = arrays[0]
        done(Moments(*mean_std(part), float(part.min()), float(part.max())))

    native = kernel.moments(first, most)
    if native is not None:
        done(native)
    else:
        fetch([strided(first, most)], reduce)
