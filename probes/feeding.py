"""How the training loader is set up: order, workers, batches."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from typing import Any

from torch.utils.data import DataLoader, RandomSampler, SequentialSampler
from torch.utils.data.distributed import DistributedSampler

from .loaders import Pass
from .source import Line, frames, line_of

KEPT = 16
"""Loaders whose settings are kept, the newest."""


class Feeding:
    def __init__(self) -> None:
        self._known: OrderedDict[weakref.ref[Any], dict[str, Any]] = OrderedDict()
        self._made: weakref.WeakKeyDictionary[Any, Line] = weakref.WeakKeyDictionary()
        self._epochs_set: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def epoch_set(self, sampler: Any) -> None:
        """sampler.set_epoch() was called."""
        self._epochs_set[sampler] = self._epochs_set.get(sampler, 0) + 1

    def made(self, loader: Any) -> None:
        if (frame := next(frames(), None)) is not None:
            self._made[loader] = line_of(frame)

    def began(self, loader: DataLoader[Any]) -> None:
        """A pass over it; afterwards only its iterator may be left of it."""
        if weakref.ref(loader) not in self._known:
            place = self._made.get(loader)
            self.told(loader, _read(loader) | ({"loader": {"where": str(place)}} if place is not None else {}))

    def place(self, loader: weakref.ref[Any]) -> str | None:
        """Where a loader was made."""
        place: str | None = self._known.get(loader, {}).get("loader", {}).get("where")
        return place

    def told(self, loader: Any, settings: dict[str, Any]) -> None:
        """``settings`` in the words of the facts."""
        self._known[weakref.ref(loader)] = settings
        if len(self._known) > KEPT:
            self._known.popitem(last=False)

    def facts(self, now: Pass) -> dict[str, Any]:
        """Of the loader that training learns from, in the pass that it learned from last."""
        known = dict(self._known.get(now.loader, {}))
        loader = now.loader()
        sampler = getattr(loader, "sampler", None)
        if isinstance(sampler, DistributedSampler):
            calls = self._epochs_set.get(sampler, 0)
            known["sampler_epochs"] = {
                "class": type(sampler).__name__,
                "set_epoch_calls": calls,
                "passes": now.number,
                "shuffle": bool(sampler.shuffle),
                "seed": sampler.seed,
            }
        return known


def _read(loader: DataLoader[Any]) -> dict[str, Any]:
    known: dict[str, Any] = {
        "workers": loader.num_workers,
        "pin_memory": loader.pin_memory,
        "batch_size": loader.batch_size,
        "drop_last": loader.drop_last,
    }
    sampler = getattr(loader, "sampler", None)
    if loader.batch_size is None or type(loader.batch_sampler).__name__ != "BatchSampler":
        sampler = loader.batch_sampler
    if isinstance(sampler, RandomSampler | SequentialSampler):
        known["shuffle"] = isinstance(sampler, RandomSampler)
    elif sampler is not None and not type(sampler).__name__.startswith("_"):  # torch's own for a stream
        known["shuffle"] = type(sampler).__name__
    return known
