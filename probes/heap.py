"""Memory that the C library has given to this process: exact from step to step, where resident memory only ever grows.

What training keeps in a step (a loss with its graph, an output) shows at once; what Python keeps of numbers does not,
as it has an allocator of its own. glibc only: elsewhere, or under another allocator, there is no such number.
"""

from __future__ import annotations

import ctypes
import gc
from collections import deque
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import torch

STEADY = 5
"""Looks in a row between which the memory has to grow before tensors are counted."""
LEAST = 512
"""Bytes a step: what is less is no tensor."""


class _Info(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


@cache
def _ask() -> Callable[[], Any] | None:
    try:
        ask = ctypes.CDLL(None).mallinfo2
    except (OSError, AttributeError):
        return None
    ask.restype = _Info
    return ask


def in_use() -> int | None:
    """Bytes of all arenas, and those that have mappings of their own; None where it is not told."""
    ask = _ask()
    if ask is None:
        return None
    info = ask()
    return int(info.uordblks + info.hblkhd) or None


class Heap:
    """One per segment. Tensors are counted, which takes milliseconds, only where the memory grows from look to look,
    and each time after twice as many looks."""

    def __init__(self) -> None:
        self._looks: deque[tuple[int, int]] = deque(maxlen=STEADY)
        self._number = 0
        self._next = STEADY

    def look(self, step: int, put: Callable[[str, Any], None]) -> None:
        """After step ``step``: ``memory.heap`` and, where it grows, ``tensors.alive`` and ``tensors.graph``."""
        used = in_use()
        if used is None:
            return
        put("memory.heap", float(used))
        self._looks.append((step, used))
        self._number += 1
        if self._number >= self._next and self._grows():
            self._next = 2 * self._number
            alive = [thing for thing in gc.get_objects() if type(thing) is torch.Tensor]
            put("tensors.alive", float(len(alive)))
            put("tensors.graph", float(sum(tensor.grad_fn is not None for tensor in alive)))

    def _grows(self) -> bool:
        looks = list(self._looks)
        rising = (now - before >= LEAST * (later - step) for (step, before), (later, now) in pairwise(looks))
        return len(looks) == STEADY and all(rising)
