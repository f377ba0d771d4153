"""Cividis: a heat scale that is even in lightness and reads the same with any colour vision.

Nuñez, Anderton, Renslow 2018, "Optimizing colormaps with consideration for color vision deficiency", PLoS ONE.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .grid import HEAT_LEVELS

_STOPS = np.array(
    [
        (0, 34, 78), (7, 49, 107), (44, 63, 109), (67, 78, 108), (87, 93, 109), (106, 108, 113), (125, 124, 120),
        (145, 140, 120), (166, 157, 117), (188, 175, 111), (210, 193, 99), (233, 212, 82), (254, 232, 56),
    ]
)  # fmt: skip
_ASCII_LEVELS = " .:-=+*#%@"


def cividis(share: float) -> tuple[int, int, int]:
    """Colour at ``share`` of the scale (0 to 1)."""
    at = np.linspace(0, 1, len(_STOPS))
    red, green, blue = (round(float(np.interp(share, at, _STOPS[:, channel]))) for channel in range(3))
    return red, green, blue


def levels(share: Any) -> NDArray[np.int64]:
    """Heat level (0 to HEAT_LEVELS - 1) of places on the scale; -1 for NaN."""
    share = np.asarray(share, np.float64)
    level = np.rint(np.clip(np.nan_to_num(share, nan=0.0), 0, 1) * (HEAT_LEVELS - 1)).astype(np.int64)
    return np.where(np.isnan(share), -1, level)


def shade(level: int) -> str:
    """A character as dark as the level, where colours cannot be had."""
    return _ASCII_LEVELS[level * (len(_ASCII_LEVELS) - 1) // (HEAT_LEVELS - 1)]
