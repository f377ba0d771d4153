"""Passes over DataLoaders: which one a batch came from, and how long it is.

Nothing of the user's is kept alive: a loader may be made anew for each pass, an iterator may hold worker processes.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

from torch.utils.data import BatchSampler, RandomSampler, SequentialSampler

from .variables import variables


class Pass(NamedTuple):
    """One pass over a loader. Two passes are over the same loader when their ``loader`` is the same object.

    ``number`` counts the passes over that loader from 1; ``batches`` and ``rows`` (samples of the data set) are None
    where it does not say.
    """

    loader: weakref.ref[Any]
    iterator: weakref.ref[Any]
    number: int
    batches: int | None
    rows: int | None


class Loaders:
    def __init__(self) -> None:
        self._numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._passes: weakref.WeakKeyDictionary[Any, Pass] = weakref.WeakKeyDictionary()
        self.ahead = 0
        """Batches fetched before the last one that were not trained on yet: a Trainer fetches those of a step first."""
        self.begin()

    def begin(self) -> None:
        """Epochs are counted from 1 again: a new segment."""
        self.passed = 0
        """Epochs before the first one, of a training that goes on."""
        self._epochs: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def began(self, loader: Any, iterator: Any) -> None:
        """``iter(loader)`` gave ``iterator``."""
        self._numbers[loader] = number = self._numbers.get(loader, 0) + 1
        rows = _length(getattr(loader, "dataset", None))
        self._passes[iterator] = Pass(weakref.ref(loader), weakref.ref(iterator), number, _length(loader), rows)

    def of(self, iterator: Any) -> Pass | None:
        return self._passes.get(iterator)

    def epoch(self, now: Pass, before: Pass | None, epoch: int) -> int:
        """The epoch of pass ``now``, which training has begun to learn from; it last learned from ``before``, in
        ``epoch``. A loader that is made anew for every epoch goes on counting; a second one, which training draws
        from in turn with the first, has epochs of its own."""
        loader = now.loader()
        if loader is None:  # made for one pass
            return (epoch or self.passed) + 1
        if loader not in self._epochs:
            anew = before is not None and before.iterator() is None
            self._epochs[loader] = (epoch if anew else self.passed) + 1 - now.number
        return self._epochs[loader] + now.number


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
    order = getattr(variables(frame).get("sampler_iter") if frame is not None else None, "gi_yieldfrom", None)
    if order is None or type(order) is not type(iter([])):  # it has come to its end
        return None
    made = order.__reduce__()[1][0]  # the list that the sampler goes through
    return [int(place) for place in made[first : first + size]] or None
