"""The samples that stand out most, small enough to be drawn on a page."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .reading import Reading

MOST = 12
SIDE = 32
"""Pixels of the longer side, at most."""


def worst(read: Reading, reasons: dict[int, str]) -> list[dict[str, Any]]:
    """``reasons``: why each sample stands out, the worst first, by its number. Pictures as grey or RGB bytes, flat
    samples as up to 64 numbers."""
    x = read.x
    if x is None:
        return []
    row_of = {place: row for row, place in enumerate(read.places[: len(x)])}
    shown: list[dict[str, Any]] = []
    for place, why in reasons.items():
        if place in row_of and len(shown) < MOST:
            shown.append(
                {"sample": place, "why": why, "target": _target(read, row_of[place]), **_drawn(x[row_of[place]])}
            )
    return shown


def _target(read: Reading, row: int) -> str:
    target = read.targets[row]
    return "" if target is None or target.size > 4 else ", ".join(f"{value:.4g}" for value in target.reshape(-1))


def _drawn(x: NDArray[np.float32]) -> dict[str, Any]:
    side = round(x.size**0.5)
    picture = x if x.ndim == 3 and x.shape[0] in (1, 3) else x[None] if x.ndim == 2 else None
    if picture is None and x.ndim == 1 and side >= 8 and side * side == x.size:
        picture = x.reshape(1, side, side)  # a flattened picture
    if picture is None or min(picture.shape[1:]) < 4:
        return {"values": [float(v) if np.isfinite(v) else None for v in x.reshape(-1)[:64]]}
    step = max(1, -(-max(picture.shape[1:]) // SIDE))
    small = np.nan_to_num(picture[:, ::step, ::step], posinf=0.0, neginf=0.0)
    low, high = float(small.min()), float(small.max())
    bytes_ = np.round(255 * (small - low) / ((high - low) or 1)).astype(np.uint8)
    return {"size": [*bytes_.shape], "pixels": base64.b64encode(np.moveaxis(bytes_, 0, -1).tobytes()).decode()}
