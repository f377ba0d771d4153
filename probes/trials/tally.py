"""What one data set is made of: shapes, moments, labels, outliers, duplicates."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .reading import TOLD, Reading, labels_of

CHANNELS = 16
"""Channels or features whose moments are told; of more only their mean."""
BINS = 40
LABELS = 1000
SIGNED = 64
"""Samples that a data set is known by."""


def tally(read: Reading) -> dict[str, Any]:
    """The report of one data set (``nnwatch/trial.py``)."""
    common = read.shape
    others = [(place, shape) for shape, places in read.shapes.items() if shape != common for place in places]
    stacked = len(others) < 0.02 * max(len(read), 1)
    odd = others if stacked else []
    found: dict[str, Any] = {
        "rows": read.source.rows,
        "read": len(read),
        "bytes": read.bytes,
        "shape": [*common],
        "dtype": read.dtype,
        "errors": [[place, text] for place, text in read.errors[:TOLD]],
        "other_shapes": [[place, [*shape]] for place, shape in odd[:TOLD]],
        "nonfinite": read.nonfinite[:TOLD],
        "constant": read.constant[:TOLD],
        "bad": {
            "errors": len(read.errors),
            "shapes": len(odd),
            "nonfinite": len(read.nonfinite),
            "constant": len(read.constant),
        },
        "drawn": read.source.drawn,
        "seen": read.source.seen,
        "digest": _digest(read),
        "duplicates": _duplicates(read) if not read.source.seen else None,
        "target": _target(read),
    }
    x = read.x
    if x is not None and read.dtype.startswith("float") and len(x) > 1:
        found |= _moments(x) | {"outliers": _outliers(x, read.places)}
    if (boxes := _boxes(read)) is not None:
        found["boxes"] = boxes
    return found


def _digest(read: Reading) -> str:
    """Of the first samples in the order of reading, which depends on the size of the data set alone: the same however
    much there was time for."""
    return hashlib.sha1(b"".join(read.hashes[:SIGNED]), usedforsecurity=False).hexdigest()[:16]


def _duplicates(read: Reading) -> dict[str, Any]:
    """Samples whose bytes occurred before, pairs of them, and how many of these have another target: of numbers that
    are measured, one that is further off than half a deviation of all."""
    apart = _apart(read)
    first: dict[bytes, int] = {}
    pairs: list[list[int]] = []
    rows = contradict = 0
    for i, key in enumerate(read.hashes):
        if key not in first:
            first[key] = i
            continue
        a, b = read.targets[first[key]], read.targets[i]
        rows += 1
        contradict += a is not None and b is not None and not _same(a, b, apart)
        if len(pairs) < TOLD:
            pairs.append(sorted((read.places[first[key]], read.places[i])))
    return {"rows": rows, "contradict": contradict, "pairs": pairs}


def _same(a: NDArray[Any], b: NDArray[Any], apart: float) -> bool:
    return np.array_equal(a, b) or bool(apart and a.shape == b.shape and (np.abs(a - b) <= apart).all())


def _apart(read: Reading) -> float:
    """How far two targets may be from each other and still be the same."""
    known = [target.reshape(-1) for target in read.targets if target is not None]
    if labels_of(read.targets) is not None or not known or known[0].dtype.kind != "f":
        return 0.0
    values = np.concatenate(known)
    return 0.5 * float(values[np.isfinite(values)].std()) if np.isfinite(values).any() else 0.0


def _target(read: Reading) -> dict[str, Any]:
    labels = labels_of(read.targets)
    if labels is not None and len(np.unique(labels)) <= LABELS:
        values, counts = np.unique(labels, return_counts=True)
        told: dict[str, Any] = {"counts": {str(int(v)): int(n) for v, n in zip(values, counts, strict=True)}}
        if read.source.rows is not None:
            told["runs"] = _runs(labels[np.argsort(read.places)])
        return told
    known = [target.reshape(-1) for target in read.targets if target is not None and target.dtype.kind in "fiu"]
    if not known:
        return {}
    values = np.concatenate(known)[: 1 << 22].astype(np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return {}
    return {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "min": float(values.min()),
        "max": float(values.max()),
        "histogram": _histogram(values),
    }


def _runs(labels: NDArray[np.int64]) -> float:
    """z of the number of runs in the order of the data set: below 0 where neighbours agree (Barton and David 1957)."""
    share = np.unique(labels, return_counts=True)[1] / len(labels)
    p, cubes = float((share**2).sum()), float((share**3).sum())
    if p > 0.999 or len(labels) < 100:
        return 0.0
    agree = float(np.mean(labels[1:] == labels[:-1]))
    return -(agree - p) * math.sqrt((len(labels) - 1) / (p * (1 - p) + 2 * (cubes - p * p)))


def _moments(x: NDArray[np.float32]) -> dict[str, Any]:
    """By channel (axis 1 of images), by feature of flat samples."""
    columns = _columns(x)
    mean, std = np.nanmean(columns, 0), np.nanstd(columns, 0)
    if len(mean) > CHANNELS:
        mean, std = mean.mean(keepdims=True), np.nanstd(columns, keepdims=True)[0]
    finite = x[np.isfinite(x)]
    return {"mean": mean.tolist(), "std": std.tolist(), "histogram": _histogram(finite)}


def _columns(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """(values, channels) of images (n, c, h, w), (n, features) of all else."""
    if x.ndim == 4 and x.shape[1] <= CHANNELS:
        return np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])[: 1 << 22].astype(np.float64)
    return x.reshape(len(x), -1).astype(np.float64)


def _histogram(values: NDArray[Any]) -> dict[str, Any]:
    low, high = np.quantile(values, (0.001, 0.999)) if len(values) else (0.0, 1.0)
    counts, edges = np.histogram(values, BINS, (float(low), float(high) if high > low else float(low) + 1))
    return {"edges": [float(edges[0]), float(edges[-1])], "counts": counts.tolist()}


def _outliers(x: NDArray[np.float32], places: list[int]) -> list[list[Any]]:
    """The samples furthest from the median of their feature, in median absolute deviations: number, place, value, z.
    A feature that mostly has one value (a pixel at the border) has no such deviation and tells nothing."""
    flat = x.reshape(len(x), -1)
    if x.ndim == 4 and x.shape[1] <= CHANNELS:
        low, high = flat.min(1), flat.max(1)  # of an image the extremes stand for all
        flat, names = np.stack([low, high], 1), ["smallest value", "largest value"]
    else:
        names = [f"feature {i}" for i in range(flat.shape[1])]
    middle = np.nanmedian(flat, 0)
    scale = 1.4826 * np.nanmedian(np.abs(flat - middle), 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(scale > 0, (flat - middle) / scale, 0.0)
    z = np.where(np.isfinite(z), z, 0.0)
    order = np.argsort(-np.abs(z).max(1))[:TOLD]
    found = []
    for row in order:
        at = int(np.argmax(np.abs(z[row])))
        found.append([places[row], names[at], float(flat[row, at]), float(z[row, at])])
    return found


def _boxes(read: Reading) -> dict[str, float] | None:
    """Sizes of the targets that are boxes, (k, 4) with corners in pixels."""
    known = [t for t in read.targets if t is not None and t.ndim == 2 and t.shape[1:] == (4,) and len(t)]
    if len(known) < len(read) or not known or len(read.shape) != 3:
        return None
    corners = np.concatenate(known).astype(np.float64)
    sides = np.minimum(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    if (sides <= 0).any() or sides.max() > max(read.shape):
        return None
    return {"small": float(np.mean(sides < 8)), "median": float(np.median(sides))}
