"""A spread-out part of a tensor, without reading the rest."""

from __future__ import annotations

from math import gcd

import torch


def strided(tensor: torch.Tensor, most: int) -> torch.Tensor:
    """About ``most`` elements of ``tensor`` at a fixed distance, all when there are no more; 1-d, no copy if dense.

    The distance is odd and shares no factor with the row length: an even one would read a few columns only.
    """
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
    row = tensor.shape[-1] if tensor.dim() else 1
    distance = -(-size // most) | 1
    while gcd(distance, row) > 1:
        distance += 2
    return flat[::distance]
