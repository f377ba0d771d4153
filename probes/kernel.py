"""The arithmetic of a sampled step in C (kernel.c): one call a phase instead of a dozen operations of torch and numpy,
each of which costs more than its work.

Every function gives None where it cannot serve: the extension was not built or does not fit this Python, or a tensor
is not a plain contiguous float32 one on the CPU. The probe that asked then does the same with torch and numpy, and
gets the same to 1e-5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from .native import native as native

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLAIN = (torch.Tensor, torch.nn.Parameter)


def plain(tensor: torch.Tensor) -> bool:
    """Is it one that the extension can read?"""
    return type(tensor) in PLAIN and tensor.dtype is torch.float32 and tensor.is_cpu and tensor.is_contiguous()


class Moments(NamedTuple):
    """``std`` of the population."""

    mean: float
    std: float
    least: float
    most: float


class Activation(NamedTuple):
    """``dead``: share of the units that have long not fired, NaN before enough samples were seen or where nobody asks;
    ``saturated``: share of the values outside the limits, NaN where these are infinite."""

    mean: float
    std: float
    dead: float
    saturated: float


class Classes(NamedTuple):
    """Of the rows looked at: how many there are, how many have a label that counts, how many of these are predicted
    right; whether all labels are classes; sums of log Z and of the label's probability; counts (2 * bins,) of the
    highest probability, wrong then right; and per class (C,) of predictions, labels and right predictions."""

    rows: int
    kept: int
    right: int
    within: bool
    logz: float
    of_target: float
    confidence: NDArray[np.int64]
    per_class: NDArray[np.int64] | None


def norms(tensors: list[torch.Tensor]) -> NDArray[np.float64] | None:
    """L2 norm of each."""
    found = native.norms(tensors) if native is not None else None
    return None if found is None else np.frombuffer(found, np.float64)


def snapshot(tensors: list[torch.Tensor], most: int) -> bytearray | None:
    """About ``most`` elements of each (see ``subsample.strided``), for ``compare``."""
    return native.snapshot(tensors, most, bytearray()) if native is not None else None


def compare(tensors: list[torch.Tensor], before: bytearray) -> NDArray[np.float64] | None:
    """(2, len(tensors)): norms as they were at the snapshot, and ||now - before|| / ||before||, NaN of zeros."""
    found = native.compare(tensors, before) if native is not None else None
    return None if found is None else np.frombuffer(found, np.float64).reshape(2, -1)


def moments(tensor: torch.Tensor, most: int) -> Moments | None:
    """Of about ``most`` elements."""
    found = native.moments(tensor, most) if native is not None else None
    return None if found is None else Moments(*found)


def activation(
    tensor: torch.Tensor,
    most: int,
    limits: tuple[float, float],
    fired: bytearray | None,
    channels: bool,
    now: int,
    window: int,
) -> Activation | None:
    """Moments and saturation of about ``most`` elements. ``fired`` holds for each unit (of axis 1 with ``channels``,
    else of the last one) the int64 count of samples when it last fired; those that fire now get ``now``, and a unit
    that did not for ``window`` samples is dead."""
    low, high = limits
    found = native.activation(tensor, most, low, high, fired, channels, now, window) if native is not None else None
    return None if found is None else Activation(*found)


def classes(
    logits: torch.Tensor, labels: torch.Tensor, ignored: int, distance: int, bins: int, counted: bool
) -> Classes | None:
    """Every ``distance``-th row of ``logits`` (N, C) against ``labels`` (N,), int64; counts per class if
    ``counted``."""
    found = native.classes(logits, labels, ignored, distance, bins, counted) if native is not None else None
    if found is None:
        return None
    rows, kept, right, within, logz, of_target, held = found
    counts = np.frombuffer(held, np.int64)
    per_class = counts[2 * bins :].reshape(3, -1) if counted else None
    return Classes(rows, kept, right, within, logz, of_target, counts[: 2 * bins], per_class)
