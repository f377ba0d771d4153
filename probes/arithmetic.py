"""The kernel's part in a routine sample (`record.c`, `parameters.c`) without the kernel: the same, with numpy.

As few calls as will do: each costs more than its work, as between the operations of a model the caches are cold. The
second of two calls in a row takes a third of the first, so the outputs of the layers are only noted in the forward
pass, and what they show is worked out together with the rest.

``record`` holds float32 numbers after its head; places count these, and what lies below 0 is not asked for.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from . import confidence
from .activations import WINDOW
from .emit import HEAD
from .kernel import PLAIN, plain
from .subsample import distance, squares
from .weights import SAMPLED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

FLOATS, TENSORS = {np.dtype(np.float32)}, set(PLAIN)
FEW = 1 << 17
"""Elements of gradients up to which numpy is faster than torch."""
SMALL = 1 << 14
"""Elements of an output up to which it is read whole sooner than in parts."""


class Held(bytearray):
    """Elements of the parameters at a snapshot, and ``parts``, which show what these are now; see ``snapshot``."""

    parts: Sequence[Floats] = ()
    places: Sequence[int] = ()


class Hand:
    """The functions of the kernel that a routine sample calls, for one training."""

    def __init__(self) -> None:
        self._seen: list[tuple[tuple[Any, ...], int, torch.Tensor, int]] = []
        """Outputs of layers that are still to be looked at: plan, number of the call, output and its version."""
        self._notes = True
        """Outputs may be looked at later: none has been written over yet."""

    # the pass

    def layer(self, plan: tuple[Any, ...], module: torch.nn.Module, args: Any, output: Any) -> None:
        """The forward hook of an activation layer, bound to its plan (see ``Routine``). It lets no error through."""
        calls = plan[1]
        try:
            call = calls[0]
            if self._notes and output.requires_grad:  # else it might not live as long without us
                self._seen.append((plan, call, output, output._version))
            else:
                with np.errstate(all="ignore"):
                    _layer(plan, call, output)
            calls[0] = call + 1
        except Exception:
            calls[0] = 255

    def passed(self) -> None:
        """Look at what the layers gave."""
        seen, self._seen = self._seen, []
        with np.errstate(all="ignore"):
            for plan, call, output, version in seen:
                try:
                    if output._version != version:
                        self._notes = False
                        raise _UnfitError
                    _layer(plan, call, output)
                except Exception:
                    plan[1][0] = 255

    def forget(self) -> None:
        """Nothing of the user's is kept alive."""
        self._seen.clear()

    # the batch

    def moments_into(self, record: bytearray, places: Sequence[int], tensor: torch.Tensor, most: int) -> bool:
        """``places``: mean, std, least, most."""
        if not plain(tensor) or not tensor.numel():
            return False
        part = _sampled(tensor, most)
        numbers = _numbers(record)
        with np.errstate(all="ignore"):
            found = (*_mean_std(part.astype(np.float64)), np.minimum.reduce(part), np.maximum.reduce(part))
        for place, value in zip(places, found, strict=True):
            if place >= 0:
                numbers[place] = value
        return True

    def classes_into(
        self,
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
                    if isinstance(value, np.ndarray):
                        numbers[place : place + len(value)] = value
                    else:
                        numbers[place] = value
        return True

    # the parameters

    def gradients_into(self, record: bytearray, place: int, parameters: list[torch.Tensor]) -> float | None:
        """The norm of all gradients, those of each at ``place``."""
        found = [parameter.grad for parameter in parameters]
        there = [gradient for gradient in found if gradient is not None]
        try:
            arrays = [gradient.numpy() for gradient in there]
        except (TypeError, RuntimeError):  # on a device, sparse, with a graph of its own
            return None
        if {array.dtype for array in arrays} - FLOATS or {type(gradient) for gradient in there} - TENSORS:
            return None
        if sum([array.size for array in arrays]) <= FEW:
            each = [squares(array.reshape(-1)) for array in arrays]
        else:
            norms = torch.stack(torch._foreach_norm(there)).numpy().astype(np.float64)
            each = (norms * norms).tolist()
        whole = math.sqrt(sum(each))
        if len(there) < len(found):
            rest = iter(each)
            each = [math.nan if gradient is None else next(rest) for gradient in found]
        _numbers(record)[place : place + len(each)] = np.sqrt(each)
        return whole

    def snapshot(self, parameters: list[torch.Tensor], most: int, held: Held) -> Held | None:
        """About ``most`` elements of each parameter into ``held``, which it gives back."""
        if not all(map(plain, parameters)) or not all(map(torch.Tensor.numel, parameters)):
            return None
        held.places = [parameter.data_ptr() for parameter in parameters]
        held.parts = [_sampled(parameter, most) for parameter in parameters]
        held[:] = np.concatenate(held.parts).data.cast("B")
        return held

    def compare_into(
        self, record: bytearray, norms: int, ratios: int, parameters: list[torch.Tensor], held: Held
    ) -> bool | None:
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
        numbers, count = _numbers(record), len(parameters)
        with np.errstate(all="ignore"):
            values *= values
            weight, moved = np.sqrt(np.add.reduceat(values, starts, 1))
            ratio = moved / weight
            finite = math.isfinite(np.add.reduce(ratio))
            if not finite:
                there = weight > 0
                finite = bool(np.logical_and.reduce(np.isfinite(ratio) | ~there))
                ratio[~there] = np.nan
            numbers[norms : norms + count] = weight * grown
            numbers[ratios : ratios + count] = ratio
        return finite


class _UnfitError(Exception):
    """An output was written over before it could be looked at."""


def _layer(plan: tuple[Any, ...], call: int, output: torch.Tensor) -> None:
    """What one call of an activation layer shows. Raises where it is not as planned."""
    record, _, names, at, places, low, high, fired, samples, widths, most, _ = plan
    name = names[call]
    shape = output.shape
    if name is None or len(shape) < 2 or not plain(output):
        raise _UnfitError
    channels = len(shape) > 3 or (len(shape) == 3 and shape[1] in widths)
    flat = output.detach().numpy().reshape(-1)
    apart = _distance(shape, most)
    values = flat[::apart].astype(np.float64)
    size = len(values)
    dead = outside = math.nan
    if fired is not None:
        whole = flat.reshape(shape[0], shape[1], -1) if channels else flat.reshape(-1, shape[-1])
        now = samples[name] + len(whole)
        dead = _dead(np.frombuffer(fired[name], np.int64), _firing(whole, values, apart), now)
        samples[name] = now
    if low > -math.inf:
        outside = np.count_nonzero((values < low) | (values > high)) / size
    numbers, place = _numbers(record), at[call]
    for start, value in zip(places, (*_mean_std(values), dead, outside), strict=True):
        if start >= 0:
            numbers[start + place] = value


def _firing(whole: Floats, values: NDArray[np.float64], apart: int) -> NDArray[np.bool_] | None:
    """Which units of ``whole`` (rows, units, ...) are above 0 anywhere, or NaN; None: all. Most that are not dead are
    so among ``values``, every ``apart``-th of it: of a large output only the others are looked for."""
    if whole.size <= SMALL or (whole.ndim == 3 and whole.shape[2] < apart):  # some unit may have none of the values
        highest: NDArray[np.floating] = _highest(whole)
        return None if np.minimum.reduce(highest) > 0 else ~(highest <= 0)
    units = whole.shape[1]
    if whole.ndim == 3:
        highest = np.maximum.reduce(np.maximum.reduceat(values, _runs(whole.shape, apart)).reshape(-1, units), 0)
    else:  # a unit comes again after as many values as there are units: the distance has no factor of theirs
        turns = len(values) // units
        highest = np.maximum.reduce(values[: turns * units].reshape(turns, units), 0, initial=0.0)
    if np.minimum.reduce(highest) > 0:
        return None
    silent = np.flatnonzero(highest <= 0)
    if whole.ndim == 2:
        silent = silent * apart % units
    firing = np.ones(units, np.bool_)
    firing[silent] = ~(_highest(whole[:, silent]) <= 0)
    return firing


def _highest(whole: Floats) -> Floats:
    """Of each unit."""
    found: Floats = np.maximum.reduce(whole if whole.ndim == 2 else np.maximum.reduce(whole, 2), 0)
    return found


@lru_cache(maxsize=512)
def _runs(shape: tuple[int, ...], apart: int) -> NDArray[np.int64]:
    """Where the values of each row and unit begin among every ``apart``-th of (rows, units, elements)."""
    rows, units, inner = shape
    return -(-np.arange(rows * units) * inner // apart)


def _dead(last: NDArray[np.int64], firing: NDArray[np.bool_] | None, now: int) -> float:
    """As of ``activations.silent``; ``firing`` as ``_firing`` gives it."""
    last[slice(None) if firing is None else firing] = now
    if now < WINDOW:
        return math.nan
    return 0.0 if firing is None else np.count_nonzero(now - last >= WINDOW) / len(last)


def _mean_std(values: NDArray[np.float64]) -> tuple[float, float]:
    """As of ``subsample.mean_std``, without a copy: the values are changed."""
    size = len(values)
    mean = float(np.add.reduce(values)) / size
    values -= mean
    return mean, math.sqrt(squares(values) / size)


def _numbers(record: bytearray) -> Floats:
    return np.frombuffer(record, np.float32, offset=HEAD.size)


@lru_cache(maxsize=512)
def _distance(shape: torch.Size, most: int) -> int:
    """Of the elements that are looked at."""
    return distance(shape.numel(), shape[-1] if shape else 1, most)


def _sampled(tensor: torch.Tensor, most: int) -> Floats:
    """As of ``strided``, of a plain tensor."""
    return _array(tensor).reshape(-1)[:: _distance(tensor.shape, most)]


def _array(tensor: torch.Tensor) -> Floats:
    found: Floats = (tensor.detach() if tensor.requires_grad else tensor).numpy()
    return found


@lru_cache(maxsize=4)
def _layout(shapes: tuple[torch.Size, ...]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Of sampled parameters that lie one after the other: by how much the norm of each has to grow to stand for all of
    it, and where each begins."""
    sizes = np.array([shape.numel() for shape in shapes])
    counts = np.array([-(-shape.numel() // _distance(shape, SAMPLED)) for shape in shapes])
    return np.sqrt(sizes / counts), np.add.accumulate(counts) - counts
