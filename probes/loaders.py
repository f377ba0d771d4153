"""Passes over DataLoaders: which one a batch came from, and how long it is.

Nothing of the user's is kept alive: a loader may be made anew for each pass, an iterator may hold worker processes.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

from torch.utils.data import BatchSampler, RandomSampler, SequentialSampler


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


def indices(iterator: Any) -> list[int] | None:
    """Places in the data set of the batch that ``iterator`` of a DataLoader gave last; None where nobody knows.

    Nothing is noted while it trains: torch's own samplers still hold the order they made.
    """
    batches = getattr(iterator, "_index_sampler", None)
    if type(batches) is not BatchSampler or batches.batch_size is None:
        return None
    size = batches.batch_size
    first = (iterator._num_yielded - 1) * size
    if type(batches.sampler) is SequentialSampler:
        rows = _length(batches.sampler.data_source) or 0
        return [*range(first, min(first + size, rows))]
    if type(batches.sampler) is not RandomSampler:
        return None
    frame = getattr(iterator._sampler_iter, "gi_frame", None)
    order = getattr(frame.f_locals.get("sampler_iter") if frame is not None else None, "gi_yieldfrom", None)
    if order is None or type(order) is not type(iter([])):  # it has come to its end
        return None
    made = order.__reduce__()[1][0]  # the list that the sampler goes through
    return [int(place) for place in made[first : first + size]] or None
