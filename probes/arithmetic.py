"""The kernel's part in a routine sample (`record.c`, `parameters.c`) without the kernel: the same functions, with torch
and numpy. As few calls as will do: each costs more than its work, as between the operations of a model the caches are
cold.

``record`` holds float32 numbers after its head; places count these, and what lies below 0 is not asked for.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from . import confidence
from .activations import silent
from .emit import HEAD
from .kernel import plain
from .subsample import distance, mean_std, squares
from .weights import SAMPLED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


FEW = 1 << 17
"""Elements of gradients up to which numpy is faster than torch."""


def moments_into(record: bytearray, places: Sequence[int], tensor: torch.Tensor, most: int) -> bool:
    """``places``: mean, std, least, most."""
    if not plain(tensor) or not tensor.numel():
        return False
    part = _sampled(tensor, most)
    numbers = _numbers(record)
    for place, value in zip(places, (*mean_std(part), np.minimum.reduce(part), np.maximum.reduce(part)), strict=True):
        if place >= 0:
            numbers[place] = value
    return True


def classes_into(
    record: bytearray,
    places: Sequence[int],
    logits: torch.Tensor,
    labels: torch.Tensor,
    ignored: int,
    apart: int,
    bins: int,
    counted: bool,
) -> bool:
    """``places`` of the fields of a ``Prediction``, in their order. ``bins`` and ``counted`` are as there."""
    if not (plain(logits) and logits.numel() and type(labels) is torch.Tensor and labels.dtype is torch.int64):
        return False
    if not labels.is_cpu or labels.shape != logits.shape[:1]:
        return False
    found = confidence.of_classes(logits.detach().numpy()[::apart], labels.numpy()[::apart], ignored)
    if found is not None:
        numbers = _numbers(record)
        for place, value in zip(places, found, strict=True):
            if place >= 0 and value is not None:
                numbers[place : place + np.size(value)] = value
    return True


def gradients_into(record: bytearray, place: int, parameters: list[torch.Tensor]) -> float | None:
    """The norm of all gradients, those of each at ``place``."""
    found = [parameter.grad for parameter in parameters]
    there = [gradient for gradient in found if gradient is not None]
    if not all(map(plain, there)):
        return None
    if sum([gradient.numel() for gradient in there]) <= FEW:
        each = np.sqrt([squares(_array(gradient).reshape(-1)) for gradient in there])
    else:
        each = torch.stack(torch._foreach_norm(there)).numpy()
    whole = each.astype(np.float64, copy=False)
    if len(there) < len(found):
        norms = iter(each)
        each = np.array([np.nan if gradient is None else next(norms) for gradient in found])
    _numbers(record)[place : place + len(each)] = each
    return math.sqrt(whole @ whole)


class Held(bytearray):
    """Elements of the parameters at a snapshot, and ``parts``, which show what these are now; see ``snapshot``."""

    parts: Sequence[NDArray[np.float32]] = ()
    places: Sequence[int] = ()


def snapshot(parameters: list[torch.Tensor], most: int, held: Held) -> Held | None:
    """About ``most`` elements of each parameter into ``held``, which it gives back."""
    if not all(plain(parameter) and parameter.numel() for parameter in parameters):
        return None
    held.places = [parameter.data_ptr() for parameter in parameters]
    held.parts = [_sampled(parameter, most) for parameter in parameters]
    held[:] = np.concatenate(held.parts).data.cast("B")
    return held


def compare_into(record: bytearray, norms: int, ratios: int, parameters: list[torch.Tensor], held: Held) -> bool | None:
    """Norms as they were at the snapshot and shares by which they changed; have all stayed finite?"""
    parts, held.parts = held.parts, ()
    if [parameter.data_ptr() for parameter in parameters] != held.places:  # it has got other storage
        return None
    grown, starts = _layout(tuple([parameter.shape for parameter in parameters]))
    values = np.empty((2, len(held) // 4))
    before, change = values
    before[:] = np.frombuffer(held, np.float32)
    np.concatenate(parts, out=change)
    change -= before
    with np.errstate(all="ignore"):
        values *= values
        weight, moved = np.sqrt(np.add.reduceat(values, starts, 1))
        ratio = moved / weight
    there = weight > 0
    ratio[~there] = np.nan
    numbers, count = _numbers(record), len(parameters)
    numbers[norms : norms + count] = weight * grown
    numbers[ratios : ratios + count] = ratio
    return bool(np.logical_and.reduce(np.isfinite(ratio) | ~there))


def layer(plan: tuple[Any, ...], module: torch.nn.Module, args: Any, output: Any) -> None:
    """The forward hook of an activation layer, bound to its plan (see ``Routine``). It lets no error through."""
    try:
        done = _layer(plan, output)
    except Exception:
        done = False
    if not done:
        plan[1][0] = 255


def _layer(plan: tuple[Any, ...], output: torch.Tensor) -> bool:
    record, calls, names, at, places, low, high, fired, samples, widths, most, _ = plan
    name = names[calls[0]]
    dims, shape = output.dim(), output.shape
    if name is None or dims < 2 or not plain(output) or not output.numel():
        return False
    channels = dims > 3 or (dims == 3 and shape[1] in widths)
    whole = _array(output)
    part = whole.reshape(-1)[:: _distance(shape, most)]
    dead = outside = np.nan
    if fired is not None:
        now = samples[name] + (shape[0] if channels else output.numel() // shape[-1])
        if channels:
            highest = output.detach().amax((0, *range(2, dims))).numpy()
        else:
            highest = np.maximum.reduce(whole.reshape(-1, shape[-1]))
        dead = silent(fired[name], ~(highest <= 0), now)
        samples[name] = now
    if low > -np.inf:
        outside = np.count_nonzero((part < low) | (part > high)) / part.size
    numbers, place = _numbers(record), at[calls[0]]
    for start, value in zip(places, (*mean_std(part), dead, outside), strict=True):
        if start >= 0:
            numbers[start + place] = value
    calls[0] += 1
    return True


def _numbers(record: bytearray) -> NDArray[np.float32]:
    return np.frombuffer(record, np.float32, offset=HEAD.size)


@lru_cache(maxsize=512)
def _distance(shape: torch.Size, most: int) -> int:
    """Of the elements that are looked at."""
    return distance(shape.numel(), shape[-1] if shape else 1, most)


def _sampled(tensor: torch.Tensor, most: int) -> NDArray[np.float32]:
    """As of ``strided``, of a plain tensor."""
    return _array(tensor).reshape(-1)[:: _distance(tensor.shape, most)]


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    found: NDArray[np.float32] = (tensor.detach() if tensor.requires_grad else tensor).numpy()
    return found


@lru_cache(maxsize=4)
def _layout(shapes: tuple[torch.Size, ...]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Of sampled parameters that lie one after the other: by how much the norm of each has to grow to stand for all of
    it, and where each begins."""
    sizes = np.array([shape.numel() for shape in shapes])
    counts = np.array([-(-shape.numel() // _distance(shape, SAMPLED)) for shape in shapes])
    return np.sqrt(sizes / counts), np.add.accumulate(counts) - counts
