"""Samples read more than once, with other random numbers: what an augmentation does to inputs and targets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .sets import Sample, Set, reseed

SAMPLES = 16
DRAWS = 8


def varies(source: Set, seconds: float) -> float | None:
    """Share of some samples that differ when they are read a second time, as many as there is time for and one at
    least; None for a stream."""
    if not source.rows:
        return None
    places = (i * source.rows // SAMPLES for i in range(min(SAMPLES, source.rows)))
    return float(np.mean([not _equal(*_twice(source, place)) for place in _within(places, seconds)]))


def _within(places: Iterable[int], seconds: float) -> Iterator[int]:
    end = perf_counter() + seconds
    for n, place in enumerate(places):
        if n and perf_counter() > end:
            return
        yield place


def _twice(source: Set, place: int) -> tuple[Sample, Sample]:
    reseed(2 * place)  # of another seed for every sample: a coin that falls alike for two seeds does so for all
    first = source.read(place)
    reseed(2 * place + 1)
    return first, source.read(place)


def _equal(a: Sample, b: Sample) -> bool:
    return a.x.shape == b.x.shape and np.array_equal(a.x, b.x, equal_nan=a.x.dtype.kind == "f")


def geometry(source: Set, seconds: float) -> dict[str, int] | None:
    """Pictures that came out as mirror images of another reading, and how many of them kept their target although it
    lies in the picture: a mask of its size, or rows of points or boxes. None where no target does. As many as there is
    time for, and one at least."""
    if not source.rows:
        return None
    flipped = still = 0
    for place in _within(range(0, source.rows, max(1, source.rows // SAMPLES)), seconds):
        draws = []
        for seed in range(DRAWS):
            reseed(seed)
            draws.append(source.read(place))
        first = draws[0]
        if first.y is None or not _lies_in(first.x, first.y):
            return None
        mirrored = next((d for d in draws if d.x.shape == first.x.shape and _mirror(first.x, d.x) is not None), None)
        if mirrored is None or mirrored.y is None:
            continue
        axis = _mirror(first.x, mirrored.x)
        mask = first.y.ndim >= 2 and first.y.shape[-2:] == first.x.shape[-2:]
        if mask and np.array_equal(np.flip(first.y, axis), first.y):
            continue  # its mirror image is itself
        flipped += 1
        still += np.array_equal(first.y, mirrored.y)
    return {"flipped": flipped, "still": int(still)}


def _lies_in(x: NDArray[Any], y: NDArray[Any]) -> bool:
    mask = y.ndim >= 2 and x.ndim >= 2 and y.shape[-2:] == x.shape[-2:]
    return mask or (x.ndim == 3 and y.ndim == 2 and y.shape[1] in (2, 4))


def _mirror(a: NDArray[Any], b: NDArray[Any]) -> int | None:
    """The axis along which the second is the mirror image of the first, and not the first itself."""
    if a.ndim < 2 or np.array_equal(a, b):
        return None
    return next((axis for axis in (-1, -2) if np.array_equal(np.flip(a, axis), b)), None)


def generators(source: Set) -> list[str]:
    """Random generators that a data set, or a transform of it, holds itself: each worker gets a copy."""
    found: list[str] = []
    seen: set[int] = set()
    queue: list[tuple[str, Any, int]] = [(type(source.dataset).__name__, source.dataset, 3)]
    while queue:
        name, value, depth = queue.pop()
        if id(value) in seen or not depth:
            continue
        seen.add(id(value))
        for key, part in vars(value).items() if hasattr(value, "__dict__") else ():
            kind = type(part)
            if kind.__module__.startswith(("numpy.random", "random")) or kind.__qualname__ == "Generator":
                found.append(f"{name}.{key}")
            elif not isinstance(part, type) and not callable(getattr(part, "numel", None)):
                queue.append((f"{name}.{key}", part, depth - 1))
    return found
