"""Samples of a data set, read for a limited time and kept within limited memory."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .sets import Set

ELEMENTS = 1 << 24
"""Numbers kept of the inputs and targets of one data set, at most: 64 MiB of float32."""
FEW = 16
"""A target of so many numbers is kept of every sample read."""
TOLD = 16
"""Samples named of each kind, at most."""


class Reading:
    """What was read of one data set. ``places`` (n,) are the samples' numbers; of the first ``kept`` of them ``x``
    (kept, ...) float32 is held where all have one shape; ``hashes`` are of every sample read, and ``targets`` of all
    those that are kept or small."""

    def __init__(self, source: Set, seconds: float) -> None:
        self.source = source
        self.places: list[int] = []
        self.hashes: list[bytes] = []
        self.targets: list[NDArray[Any] | None] = []
        self.errors: list[tuple[int, str]] = []
        self.shapes: dict[tuple[int, ...], list[int]] = {}
        self.nonfinite: list[int] = []
        self.constant: list[int] = []
        self.dtype = ""
        self.bytes = 0
        self._rows: list[NDArray[Any]] = []
        self._elements = 0
        self._read(seconds)

    def _read(self, seconds: float) -> None:
        end = perf_counter() + seconds
        for place in self.source.order():
            if perf_counter() > end and len(self.places) >= 2:
                return
            try:
                x, y, beside = self.source.read(place)
            except StopIteration:
                return
            except Exception as error:
                self.errors.append((place, f"{type(error).__name__}: {error}"[:200]))
                if len(self.errors) > 100:
                    return
                continue
            self.places.append(place)
            digest = hashlib.sha1(usedforsecurity=False)
            for part in (x, *beside):
                digest.update(np.ascontiguousarray(part).tobytes())
            self.hashes.append(digest.digest())
            self.bytes += x.nbytes
            self._look(place, x, y)

    def _look(self, place: int, x: NDArray[Any], y: NDArray[Any] | None) -> None:
        self.dtype = str(x.dtype)
        self.shapes.setdefault(x.shape, []).append(place)
        if x.dtype.kind == "f":
            if not np.isfinite(x).all():
                self.nonfinite.append(place)
            elif x.size >= 16 and x.min() == x.max():
                self.constant.append(place)
        if y is not None and y.dtype.kind == "f" and not np.isfinite(y).all() and place not in self.nonfinite[-1:]:
            self.nonfinite.append(place)
        size = x.size + (y.size if y is not None else 0)
        kept = self._elements + size <= ELEMENTS and len(self._rows) + 1 == len(self.places)
        if kept:
            self._rows.append(x)
            self._elements += size
        self.targets.append(y if kept or (y is not None and y.size <= FEW) else None)

    def __len__(self) -> int:
        return len(self.places)

    @property
    def coverage(self) -> float | None:
        """Share of the data set that was read; None for a stream."""
        return len(self) / self.source.rows if self.source.rows else None

    @property
    def shape(self) -> tuple[int, ...]:
        """The most frequent one."""
        return max(self.shapes, key=lambda shape: len(self.shapes[shape]), default=())

    @property
    def x(self) -> NDArray[np.float32] | None:
        """Inputs (kept, ...) of the first samples read; None for samples of different shapes."""
        if len(self.shapes) != 1 or not self._rows:
            return None
        return np.stack(self._rows).astype(np.float32, copy=False)

    @property
    def y(self) -> NDArray[Any] | None:
        """Targets (kept, ...) of the same; None without, or where they have different shapes."""
        found = [target for target in self.targets[: len(self._rows)] if target is not None]
        if len(found) < len(self._rows) or len({target.shape for target in found}) != 1:
            return None
        return np.stack(found)


def labels_of(targets: Sequence[NDArray[Any] | None]) -> NDArray[np.int64] | None:
    """(n,) one whole number a sample; None where targets are something else. Rows of zeros with one 1 are the place
    of that 1."""
    known = [target for target in targets if target is not None]
    if not known or len(known) < len(targets):
        return None
    if all(target.size == 1 and target.dtype.kind in "iub" for target in known):
        return np.array([int(target.reshape(-1)[0]) for target in known])
    if all(target.ndim == 1 and target.size > 1 and target.sum() == 1 and target.max() == 1 for target in known):
        return np.array([int(target.argmax()) for target in known])
    return None
