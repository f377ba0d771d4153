"""The statistics of the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

_Z = 1.959964


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927); (0, 1) for n = 0."""
    if n == 0:
        return 0.0, 1.0
    p, z = hits / n, _Z
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap(by_family: Mapping[str, Sequence[float]], draws: int = 2000) -> tuple[float, float]:
    """95 % interval of the pooled mean when whole families are drawn again: those of one are not independent."""
    groups = [np.asarray(values, float) for values in by_family.values() if len(values)]
    if not groups:
        return 0.0, 1.0
    sums = np.array([group.sum() for group in groups])
    sizes = np.array([len(group) for group in groups])
    drawn = np.random.default_rng(0).integers(0, len(groups), (draws, len(groups)))
    means = sums[drawn].sum(1) / sizes[drawn].sum(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def paired(clean: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """(mean of clean - other, that in standard errors) over paired seeds; no spread at all counts as certain."""
    difference = np.asarray(clean, float) - np.asarray(other, float)
    mean = float(difference.mean())
    error = float(difference.std(ddof=1)) / len(difference) ** 0.5
    if error < 1e-12:
        return mean, float(np.sign(mean)) * np.inf if abs(mean) > 1e-12 else 0.0
    return mean, mean / error
