"""What two data sets have in common: equal samples, groups, pictures that are near."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .reading import TOLD, Reading

GROUPS = (
    "groups", "group", "group_ids", "subjects", "subject", "patients", "patient", "patient_ids", "speakers", "users",
    "sessions", "videos", "persons", "scenes",
)  # fmt: skip
"""Attributes of a data set that say which samples belong together."""
PIXELS = 32
"""Side from which pictures are compared by what they look like."""
NEAR = 4
"""Bits of 64 that near pictures differ in, at most."""


def leak(train: Reading, held: Reading) -> dict[str, Any]:
    """Rows of the second that are rows of the first, beside those that duplicates within training explain."""
    places = dict(zip(train.hashes, train.places, strict=True))
    met = [(held.places[i], places[key]) for i, key in enumerate(held.hashes) if key in places]
    repeats = 1 - len(places) / max(1, len(train.hashes))
    return {
        "rows": len(held),
        "seen": len(met),
        "expected": repeats * len(held),
        "pairs": [[a, b] for a, b in met[:TOLD]],
        "coverage": train.coverage or 0.0,
    }


def groups(train: Reading, held: Reading) -> dict[str, Any] | None:
    """Groups of the second that are also in the first; None where the data sets do not say."""
    for name in GROUPS:
        a, b = _group(train.source.dataset, name), _group(held.source.dataset, name)
        if a is not None and b is not None:
            return {"name": name.removesuffix("s"), "shared": len(a & b), "of": len(b)}
    return None


def _group(dataset: Any, name: str) -> set[Any] | None:
    """The groups of the samples of a data set, or of a subset of one."""
    places = None
    while hasattr(dataset, "dataset") and hasattr(dataset, "indices"):
        own = [int(i) for i in dataset.indices]
        places = own if places is None else [own[i] for i in places]
        dataset = dataset.dataset
    marks = getattr(dataset, name, None)
    try:
        if marks is None or len(marks) != len(dataset):
            return None
        chosen = marks if places is None else [marks[i] for i in places]
        return {mark.item() if hasattr(mark, "item") else mark for mark in chosen}
    except TypeError:
        return None


def near(train: Reading, held: Reading) -> dict[str, float] | None:
    """Share of the second's pictures that are near one of the first's, and the same within the first; None for what
    is no picture of some size."""
    a, b = (_pictures(read) for read in (train, held))
    if a is None or b is None or len(a) < 20 or len(b) < 20:
        return None
    half = len(a) // 2
    return {"between": _share(b, a[:half]), "within": _share(a[half:], a[:half])}


def _pictures(read: Reading, most: int = 1000) -> NDArray[np.uint64] | None:
    if len(read.shape) != 3 or min(read.shape[1:]) < PIXELS or read.shape[0] not in (1, 3):
        return None
    x = read.x
    return None if x is None else difference_hashes(x[:most])


def difference_hashes(pictures: NDArray[np.float32]) -> NDArray[np.uint64]:
    """(n,) of (n, c, h, w): 64 bits each, is a cell brighter than its right neighbour, of 8 x 9 cells."""
    grey = pictures.mean(1)
    rows = np.array_split(np.arange(grey.shape[1]), 8)
    columns = np.array_split(np.arange(grey.shape[2]), 9)
    cells = np.stack([grey[:, r][:, :, c].mean((1, 2)) for r in rows for c in columns], 1).reshape(-1, 8, 9)
    bits = (cells[:, :, 1:] > cells[:, :, :-1]).reshape(len(grey), 64)
    hashes: NDArray[np.uint64] = np.packbits(bits, axis=1).view(np.uint64).reshape(-1)
    return hashes


def _share(these: NDArray[np.uint64], those: NDArray[np.uint64]) -> float:
    apart = np.bitwise_xor(these[:, None], those[None, :])
    counts = np.unpackbits(apart.view(np.uint8).reshape(*apart.shape, 8), axis=2).sum(2)
    return float(np.mean((counts <= NEAR).any(1)))
