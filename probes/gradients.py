"""Gradient norms as the optimizer sees them, after clipping and unscaling."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from . import kernel
from .fetch import Arrays, Fetch

Done = Callable[[np.ndarray, float], None]


def norms(parameters: Sequence[torch.Tensor], fetch: Fetch, done: Done) -> None:
    """L2 norm of each parameter's gradient, NaN where it has none, and of all of them together.

    ``done(each, whole)`` gets float64 (len(parameters),) and a float. A sharded gradient gives the norm of its
    local part: adding the parts up needs the other ranks, and a probe never waits for them.
    """
    places: list[int] = []
    gradients: list[torch.Tensor] = []
    for place, parameter in enumerate(parameters):
        gradient = parameter.grad
        if gradient is None:
            continue
        if gradient.is_sparse:
            gradient = gradient.coalesce().values()
        elif type(gradient) is not torch.Tensor and hasattr(gradient, "to_local"):
            gradient = gradient.to_local()
        places.append(place)
        gradients.append(gradient)
    if not gradients:
        return

    def reduce(arrays: Arrays) -> None:
        each = found = np.asarray(arrays[0], np.float64)
        if len(found) < len(parameters):
            each = np.full(len(parameters), np.nan)
            each[places] = found
        done(each, math.sqrt(found @ found))

    native = kernel.norms(gradients)
    if native is not None:
        reduce([native])
        return
    with torch.no_grad():
        fetch([torch.stack(torch._foreach_norm(gradients))], reduce)
