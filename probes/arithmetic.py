"""The kernel's part in a routine sample (`record.c`, `parameters.c`) without the kernel: the same functions, with torch
and numpy. As few calls as will do: each costs more than its work, as between the operations of a model the caches are
cold.

``record`` holds float32 numbers after its head; places count these, and what lies below 0 is not asked for.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from . import confidence
from .activations import silent
from .emit import HEAD
from .kernel import plain
from .subsample import distance, mean_std
from .weights import SAMPLED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


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
    each = torch.stack(torch._foreach_norm(there)).numpy() if there else np.zeros(0, np.float32)
    whole = each.astype(np.float64)
    if len(there) < len(found):
        norms = iter(each)
        each = np.array([np.nan if gradient is None else next(norms) for gradient in found], np.float32)
    _numbers(record)[place : place + len(each)] = each
    return float(np.sqrt(whole @ whole))


def snapshot(parameters: list[torch.Tensor], most: int, held: bytearray) -> bytearray | None:
    """About ``most`` elements of each parameter into ``held``, which it gives back."""
    if not all(plain(parameter) and parameter.numel() for parameter in parameters):
        return None
    held[:] = _elements(parameters, most).tobytes()
    return held


def compare_into(
    record: bytearray, norms: int, ratios: int, parameters: list[torch.Tensor], held: bytearray
) -> bool | None:
    """Norms as they were at the snapshot and shares by which they changed; have all stayed finite?"""
    grown, starts, whole = _layout(tuple([parameter.shape for parameter in parameters]), SAMPLED)
    before = np.frombuffer(held, np.float32).astype(np.float64)
    if len(before) != whole or not all(map(plain, parameters)):
        return None
    change = _elements(parameters, SAMPLED) - before
    with np.errstate(all="ignore"):
        weight = np.sqrt(np.add.reduceat(np.square(before, before), starts))
        ratio = np.sqrt(np.add.reduceat(np.square(change, change), starts)) / weight
    moved = weight > 0
    ratio[~moved] = np.nan
    numbers, count = _numbers(record), len(parameters)
    numbers[norms : norms + count] = weight * grown
    numbers[ratios : ratios + count] = ratio
    return bool(np.isfinite(ratio[moved]).all())


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
    part = _sampled(output, most)
    dead = outside = np.nan
    if fired is not None:
        now = samples[name] + (shape[0] if channels else output.numel() // shape[-1])
        if channels:
            highest = output.detach().amax((0, *range(2, dims))).numpy()
        else:
            highest = np.maximum.reduce(output.detach().numpy().reshape(-1, shape[-1]))
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
def _spread(shape: torch.Size, most: int) -> tuple[int, int]:
    """How many elements are looked at, and their distance."""
    size = shape.numel()
    apart = distance(size, shape[-1] if shape else 1, most)
    return -(-size // apart), apart


def _sampled(tensor: torch.Tensor, most: int) -> NDArray[np.float32]:
    """As of ``strided``, of a plain tensor."""
    count, apart = _spread(tensor.shape, most)
    return tensor.detach().as_strided((count,), (apart,)).numpy()


def _elements(parameters: list[torch.Tensor], most: int) -> NDArray[np.float32]:
    with torch.no_grad():
        parts = []
        for parameter in parameters:
            count, apart = _spread(parameter.shape, most)
            parts.append(parameter.as_strided((count,), (apart,)))
        return torch.cat(parts).numpy()


@lru_cache(maxsize=4)
def _layout(shapes: tuple[torch.Size, ...], most: int) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
    """Of elements that lie one parameter after the other: by how much the norm of each has to grow to stand for all of
    it, where each begins, and how many there are."""
    counts = np.array([_spread(shape, most)[0] for shape in shapes])
    sizes = np.array([shape.numel() for shape in shapes])
    ends = np.add.accumulate(counts)
    return np.sqrt(sizes / counts), ends - counts, int(ends[-1])
