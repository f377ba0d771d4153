"""Values off the device without waiting for it.

On the CPU a value is there at once. On CUDA it is copied to pinned memory on the stream that computed it, an event
marks the end of the copy, and a later step looks whether it has passed. What was asked first is delivered first.
Tensors of any other device are not read: that would wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

Arrays = list["NDArray[Any]"]
MOST = 64
"""Deliveries under way at most; past that a request is dropped, as a device so far behind would pile them up."""


class _Copy(NamedTuple):
    arrived: Callable[[], bool]
    arrays: Callable[[], Arrays]
    then: Callable[[Arrays], None]


def array(tensor: torch.Tensor) -> NDArray[Any]:
    """A CPU tensor as numpy, without a copy where the dtype allows it (numpy has no bfloat16)."""
    tensor = tensor.detach()
    if tensor.dtype in (torch.bfloat16, torch.float16):
        tensor = tensor.float()
    found: NDArray[Any] = tensor.numpy()
    return found


def _present() -> bool:
    return True


class Fetch:
    """Call with tensors and what to do with their values: ``then(arrays)``, at once or from a later ``poll``."""

    def __init__(self) -> None:
        self._queue: deque[_Copy] = deque()

    @property
    def waiting(self) -> bool:
        return bool(self._queue)

    def __call__(self, tensors: Sequence[torch.Tensor], then: Callable[[Arrays], None]) -> None:
        if all(tensor.is_cpu for tensor in tensors):
            arrays = [array(tensor) for tensor in tensors]
            if not self._queue:
                then(arrays)
            else:
                kept = [found.copy() for found in arrays]
                self._queue.append(_Copy(_present, lambda: kept, then))
        elif len(self._queue) < MOST and all(tensor.is_cuda for tensor in tensors):
            self._queue.append(_from_cuda(tensors, then))

    def poll(self) -> None:
        """Deliver what has arrived. Never waits."""
        while self._queue and self._queue[0].arrived():
            copy = self._queue.popleft()
            copy.then(copy.arrays())


def _from_cuda(tensors: Sequence[torch.Tensor], then: Callable[[Arrays], None]) -> _Copy:
    """One transfer for all of them; float64 would double it and float32 holds every class index below 2**24."""
    flat = torch.cat([tensor.detach().reshape(-1).float() for tensor in tensors])
    host = torch.empty(flat.shape, dtype=torch.float32, device="cpu", pin_memory=True)
    host.copy_(flat, non_blocking=True)
    event: Any = torch.cuda.Event()
    event.record(torch.cuda.current_stream(flat.device))
    shapes = [tensor.shape for tensor in tensors]

    def arrays() -> Arrays:
        ends = np.cumsum([shape.numel() for shape in shapes])
        parts = np.split(host.numpy(), ends[:-1])
        return [part.reshape(tuple(shape)) for part, shape in zip(parts, shapes, strict=True)]

    return _Copy(event.query, arrays, then)
