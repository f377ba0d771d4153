"""A spread-out part of a tensor, without reading the rest, and its moments."""

from __future__ import annotations

import math
from math import ceil, gcd
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONG_AXIS = 8
"""Axes shorter than this (channels) are thinned last."""
PIECE = 8192
"""Elements; from 10,000 on OpenBLAS shares a sum with other threads."""


def strided(tensor: torch.Tensor, most: int) -> torch.Tensor:
    """About ``most`` elements of ``tensor`` at a fixed distance, all when there are no more; 1-d, no copy if dense."""
    flat = tensor.detach()
    size = flat.numel()
    if flat.is_contiguous():
        flat = flat.view(-1)
    elif torch.ops.aten.is_non_overlapping_and_dense(flat):
        flat = flat.as_strided((size,), (1,))  # in memory's order: any order serves a statistic
    else:
        flat = flat.reshape(-1)
    if size <= most:
        return flat
    return flat[:: distance(size, tensor.shape[-1] if tensor.dim() else 1, most)]


def distance(size: int, row: int, most: int) -> int:
    """Of about ``most`` elements among ``size``, in rows of ``row``: odd and without a factor of the row length, as an
    even one would read a few columns only; 1 for all."""
    if size <= most:
        return 1
    apart = -(-size // most) | 1
    while gcd(apart, row) > 1:
        apart += 2
    return apart


def mean_std(part: NDArray[np.floating]) -> tuple[float, float]:
    """Mean and standard deviation (of the population) of a float array that is not empty, in float64; the array's own
    methods take several times as long for a small one."""
    values = part.astype(np.float64).reshape(-1)
    with np.errstate(all="ignore"):
        mean = float(np.add.reduce(values)) / len(values)
        values -= mean
    return mean, math.sqrt(squares(values) / len(values))


def squares(values: NDArray[np.floating]) -> float:
    """Sum of the squares of a 1-d array: ten times as fast as numpy's own sum, and of too few elements at a time for
    BLAS to wake its threads."""
    if len(values) <= PIECE:
        return float(np.dot(values, values))
    pieces = [values[start : start + PIECE] for start in range(0, len(values), PIECE)]
    return sum([float(np.dot(piece, piece)) for piece in pieces])


def thinned(tensor: torch.Tensor, most: int) -> torch.Tensor:
    """A view of ``tensor`` (rows, ...) with all rows and, of each, about ``most`` elements spread over its longer axes.

    Which ones depends on the shape of a row alone: equal rows stay equal, whatever the batch or the layout in memory.
    """
    part = tensor.detach()
    axes = sorted(range(1, part.dim()), key=lambda axis: -part.shape[axis])
    spread = sum(part.shape[axis] >= LONG_AXIS for axis in axes)
    for place, axis in enumerate(axes):
        times = part[:1].numel() / most
        if times <= 1:
            break
        step = min(part.shape[axis], ceil(times ** (1 / max(1, spread - place))))
        part = part[(slice(None),) * axis + (slice(step // 2, None, step),)]
    return part
