"""Where each number of a sample lies in its record, from one sample to the next."""

from __future__ import annotations

from collections.abc import KeysView
from typing import TYPE_CHECKING

import numpy as np

from .emit import HEAD

if TYPE_CHECKING:
    from .emit import Schema


class Layout:
    def __init__(self, schema: Schema) -> None:
        self.places: dict[str, tuple[int, int]] = {}
        """Of each metric its first number and how many there are."""
        size = 0
        for metric, width, _ in schema.fields:
            self.places[metric] = size, width
            size += width
        self.record = bytearray(HEAD.size + 4 * size)
        self.numbers = np.frombuffer(self.record, np.float32, offset=HEAD.size)

    @property
    def metrics(self) -> KeysView[str]:
        return self.places.keys()

    def at(self, metric: str) -> int:
        """Below 0 where the record does not have it."""
        return self.places.get(metric, (-1, 0))[0]

    def width(self, metric: str) -> int:
        return self.places.get(metric, (-1, 0))[1]

    def put(self, metric: str, *values: float | None) -> None:
        """Nothing where there are not as many as the record has."""
        place, width = self.places.get(metric, (-1, 0))
        if len(values) == width and values[0] is not None:
            self.numbers[place : place + width] = values
