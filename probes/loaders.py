"""Passes over DataLoaders: which one a batch came from, and how long it is.

Nothing of the user's is kept alive: a loader may be made anew for each pass, an iterator may hold worker processes.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple


class Pass(NamedTuple):
    """One pass over a loader. Two passes are over the same loader when their ``loader`` is the same object.

    ``number`` counts from 1; ``batches`` and ``rows`` (samples of the data set) are None where it does not say.
    """

    loader: weakref.ref[Any]
    number: int
    batches: int | None
    rows: int | None


class Loaders:
    def __init__(self) -> None:
        self._numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._passes: weakref.WeakKeyDictionary[Any, Pass] = weakref.WeakKeyDictionary()

    def began(self, loader: Any, iterator: Any) -> None:
        """``iter(loader)`` gave ``iterator``."""
        self._numbers[loader] = number = self._numbers.get(loader, 0) + 1
        rows = _length(getattr(loader, "dataset", None))
        self._passes[iterator] = Pass(weakref.ref(loader), number, _length(loader), rows)

    def of(self, iterator: Any) -> Pass | None:
        return self._passes.get(iterator)


def _length(sized: Any) -> int | None:
    try:
        return len(sized)
    except TypeError:  # a stream
        return None
