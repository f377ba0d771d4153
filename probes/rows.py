"""Fingerprints of samples: equal for equal samples in training and validation, whatever the batch.

Of a sample with more than ``POSITIONS`` elements some stand for all. Taken of the float32 values, so that a CPU and a
GPU agree. 24 bits, as a float32 holds them exactly: two different samples agree once in 16 million times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import torch

from .fetch import Fetch
from .nested import tensors
from .subsample import thinned

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS = 256
"""Samples of a batch that get a fingerprint, at most."""
POSITIONS = 128
TOKENS = ROWS * POSITIONS
"""Tokens of bags that are looked at, of all samples of a batch together."""
_INTEGERS = {torch.int32, torch.int64}
_MIX = np.uint64(0x9E3779B97F4A7C15)


def _weights(count: int) -> NDArray[np.uint64]:
    """Odd numbers that look random: SplitMix64 (Steele et al. 2014). Loading numpy.random would cost every process that
    imports torch 60 ms."""
    z = np.arange(1, count + 1, dtype=np.uint64) * _MIX
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) | np.uint64(1)


_WEIGHTS = _weights(4 * POSITIONS)


def first(values: Any) -> torch.Tensor | None:
    """What enters the model: the first tensor with samples in it."""
    return next((tensor for tensor in tensors(values) if tensor.dim() and tensor.numel()), None)


def select(tensor: torch.Tensor) -> torch.Tensor:
    """The elements of its first samples that ``fingerprints`` needs, (n, k)."""
    rows = tensor[:ROWS]
    # of tokens the first ones: texts of a batch are padded with zeros behind, as far as the longest needs
    rows = thinned(rows, POSITIONS) if rows.is_floating_point() else rows[:, :POSITIONS] if rows.dim() > 1 else rows
    return rows.detach().reshape(len(rows), -1)


def _bag(values: Any, tensor: torch.Tensor) -> torch.Tensor | None:
    """Where samples begin in ``tensor``, of tokens of all samples one after the other as nn.EmbeddingBag takes them:
    the second tensor that enters, if it may be that."""
    if tensor.dim() != 1 or tensor.dtype not in _INTEGERS:
        return None
    starts = next((other for other in tensors(values) if other is not tensor and other.dim()), None)
    known = starts is not None and starts.dim() == 1 and starts.dtype in _INTEGERS
    return starts if known and starts is not None and 0 < len(starts) < len(tensor) else None


def _bags(tokens: NDArray[Any], starts: NDArray[Any]) -> NDArray[np.float32] | None:
    """The first tokens of each sample, zeros behind, (n, k); None if samples do not begin there."""
    if starts[0] != 0 or (np.diff(starts) < 0).any():
        return None
    ends = np.append(starts[1:], len(tokens))[:ROWS]
    whole = starts[: len(ends)] < len(tokens)
    found = np.zeros((int(whole.sum()), POSITIONS), np.float32)
    for row, begin, end in zip(found, starts[:ROWS][whole], ends[whole], strict=True):
        bag = tokens[begin : min(end, begin + POSITIONS)]
        row[: len(bag)] = bag
    return found


def fingerprints(selected: NDArray[Any]) -> NDArray[np.int64]:
    """(n,) integers below 2**24 of (n, k) values. A zero adds nothing, so zeros behind do not matter."""
    bits = np.ascontiguousarray(selected[:, : len(_WEIGHTS)], np.float32).view(np.uint32).astype(np.uint64)
    bits ^= bits >> np.uint64(15)
    sums: NDArray[np.uint64] = np.add.reduce(bits * _WEIGHTS[: bits.shape[1]], 1)
    sums ^= sums >> np.uint64(29)
    sums *= _MIX
    return (sums >> np.uint64(40)).astype(np.int64)


def checksum(values: NDArray[Any]) -> int:
    """24 bits."""
    return crc32(np.ascontiguousarray(values).tobytes()) & 0xFFFFFF


def of_input(values: Any, fetch: Fetch, put: Callable[[str, Any], None], metric: str, order: str | None = None) -> None:
    """Fingerprints of the samples that enter the model, and a checksum of all of them as ``order``."""
    tensor = first(values)
    if tensor is None:
        return
    starts = _bag(values, tensor)
    parts = [select(tensor)] if starts is None else [tensor.detach()[:TOKENS], starts.detach()[: ROWS + 1]]

    def reduce(arrays: list[NDArray[Any]]) -> None:
        bags = _bags(*arrays) if len(arrays) == 2 else None
        found = fingerprints(arrays[0].reshape(len(arrays[0]), -1)[:ROWS] if bags is None else bags)
        put(metric, found)
        if order is not None:
            put(order, checksum(found))

    fetch(parts, reduce)
