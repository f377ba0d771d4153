"""One data set of a script, as its loader reads it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice, pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, IterableDataset, Subset

from ..nested import tensors
from ..repeats import LABELS
from ..undo import Begun
from .subject import NotPossibleError

LINE = "train_loader = DataLoader(dataset)"
"""What makes a data set known."""


class Sample(NamedTuple):
    """One row as it enters the model, and what is to be predicted; None where a data set gives no target. ``beside``
    are further inputs."""

    x: NDArray[Any]
    y: NDArray[Any] | None
    beside: tuple[NDArray[Any], ...] = ()


class Set:
    """One data set. ``rows`` is None for a stream; ``drawn``: its rows are a random choice of another's."""

    def __init__(self, role: str, rows: int | None, read: Callable[[int], Sample], dataset: Any, drawn: bool) -> None:
        self.role, self.rows, self.read, self.dataset, self.drawn = role, rows, read, dataset, drawn
        self.partly = False
        """Training may draw from a part of it only: a tensor that the script indexes itself."""
        self.seen = False
        """It is what entered the model, each sample once."""

    def order(self) -> Iterator[int]:
        """Every place once, each beginning of the order spread over all of them: multiples of a step near the golden
        section of the length, which has no divisor in common with it."""
        if self.rows is None:
            yield from range(1 << 62)
            return
        step = max(1, round(0.6180339887 * self.rows))
        while np.gcd(step, self.rows) != 1:
            step += 1
        yield from ((i * step) % self.rows for i in range(self.rows))


@contextmanager
def same_random() -> Iterator[None]:
    """Reading draws numbers (augmentation): the script's generators are put back."""
    begun, own, numpys = Begun.now(), random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        begun.restore()
        random.setstate(own)
        np.random.set_state(numpys)


def reseed(seed: int) -> None:
    """Another draw of the next sample; inside ``same_random``."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)


def of_loader(role: str, loader: DataLoader[Any]) -> Set:
    dataset = loader.dataset
    batches = loader.batch_sampler is not None  # else every item of the data set is a batch, or enters alone
    collate = loader.collate_fn if batches else (lambda items: loader.collate_fn(items[0]))
    if isinstance(dataset, IterableDataset):
        stream = iter(dataset)
        return Set(role, None, lambda place: _split(collate([next(stream)])), dataset, drawn=False)
    several = getattr(dataset, "__getitems__", None)  # torch's own loader asks for it first, too

    def read(place: int) -> Sample:
        return _split(collate(several([place]) if several is not None else [dataset[place]]))

    return Set(role, _size(loader), read, dataset, _drawn(dataset))


def _size(loader: DataLoader[Any]) -> int:
    """Samples of its data set; as its sampler has them where that does not say (arrays of Keras)."""
    try:
        return len(loader.dataset)  # type: ignore[arg-type]
    except TypeError:
        sampler = getattr(loader.batch_sampler, "sampler", None)
        if sampler is None:
            raise NotPossibleError("the data set does not say how many samples it has", LINE) from None
        return len(sampler)


def _drawn(dataset: Any) -> bool:
    """A subset in no order: random_split, or indices that were shuffled."""
    places = list(islice(dataset.indices, 1000)) if isinstance(dataset, Subset) else []
    return len(places) > 2 and any(int(b) < int(a) for a, b in pairwise(places))


def _split(batch: Any) -> Sample:
    """Input and target of a batch of one sample."""
    if isinstance(batch, Mapping):
        target = next((batch[name] for name in batch if name in LABELS), None)
        parts: list[Any] = [value for name, value in batch.items() if name not in LABELS]
    elif isinstance(batch, list | tuple) and len(batch) > 1:
        parts, target = [*batch[:-1]], batch[-1]
    else:
        parts, target = [batch], None
    entered = [row(tensor) for tensor in tensors(parts) if tensor.dim()]
    if not entered:
        raise TypeError(f"no tensor in a batch of {type(batch).__name__}")
    wanted = next(iter(tensors([target])), None)
    return Sample(entered[0], None if wanted is None else row(wanted), tuple(entered[1:]))


def row(tensor: torch.Tensor) -> NDArray[Any]:
    """As numbers of numpy's, without the axis of a batch of one."""
    plain = tensor.detach().cpu()
    plain = plain.float() if plain.is_floating_point() else plain
    array: NDArray[Any] = plain.numpy()
    return array[0] if array.ndim and len(array) == 1 else array
