"""What loaders give while a script is tried: the training data without an end, or one batch for ever."""

from __future__ import annotations

import weakref
from typing import Any

from torch.utils.data import dataloader

from ..nested import rows
from ..replay import cloned
from ..standby import Standby


class Batches:
    """Once ``endless`` is set the loader that training draws from begins anew where it would end, so that no
    validation and no checkpoint comes between; once ``repeating`` is set every loader gives its first batch again."""

    def __init__(self, standby: Standby, repeating: bool = False) -> None:
        self._standby = standby
        self.endless = self.repeating = repeating
        self._first: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
        self._next: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
        self.rows = 0
        """Samples of the last batch."""

    @property
    def given(self) -> bool:
        """Has any loader given a batch?"""
        return self.rows > 0

    def begin(self) -> None:
        original = dataloader._BaseDataLoaderIter.__next__
        batches = self

        def __next__(self: Any) -> Any:  # noqa: N807
            return batches._give(self, original)

        dataloader._BaseDataLoaderIter.__next__ = __next__  # type: ignore[method-assign]

    def _give(self, iterator: Any, original: Any) -> Any:
        try:
            batch = original(self._next.get(iterator, iterator))
        except StopIteration:
            loader = self._trained(iterator)
            if not self.endless or loader is None:
                raise
            self._next[iterator] = fresh = iter(loader)
            batch = original(fresh)
        self.rows = rows(batch)
        if not self.repeating:
            return batch
        loader = self._loader(iterator)
        if loader is None:
            return batch
        first = self._first.setdefault(loader, cloned(batch))
        return cloned(first)

    def _loader(self, iterator: Any) -> Any:
        known = self._standby.watch.loaders.of(iterator)
        return known.loader() if known is not None else None

    def _trained(self, iterator: Any) -> Any:
        """Its loader, if that is the one that training draws from."""
        trained = self._standby.lane.trained_on
        loader = self._loader(iterator)
        return loader if trained is not None and loader is trained.loader() else None
