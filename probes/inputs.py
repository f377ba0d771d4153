"""Moments of what enters the model and of what it is to predict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import kernel
from .fetch import Arrays, Fetch
from .kernel import Moments
from .nested import tensors
from .subsample import mean_std, strided

SAMPLED = 8192
"""Values looked at, at most; a batch of photographs has millions."""


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
