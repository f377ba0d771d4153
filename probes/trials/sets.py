"""The data sets of a script, as its loaders read them: training, validation, test."""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice, pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, IterableDataset, Subset

from ..nested import tensors
from ..repeats import LABELS
from ..source import frames
from ..undo import Begun
from .subject import NotPossibleError, Subject

ROLES = (
    ("test", re.compile(r"test")),
    ("validation", re.compile(r"val|dev|eval|holdout")),
    ("train", re.compile(r"tr")),
)
"""What a name says of a data set, in the order in which it is asked."""
LINE = "train_loader = DataLoader(dataset)"


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


def find(subject: Subject) -> list[Set]:
    """The training set first. Raises NotPossibleError where there is none."""
    if subject.loader is not None:
        return _loaded(subject)
    try:
        return _held(subject)
    except NotPossibleError:
        if not subject.seen:
            raise
        sets = [_of_samples(subject.seen)]
        return sets + _others(subject, sets)


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


# the data sets behind loaders


def _loaded(subject: Subject) -> list[Set]:
    training = subject.loader
    assert training is not None
    sets = [_of_loader("train", training)]
    return sets + _others(subject, sets)


def _others(subject: Subject, sets: Sequence[Set]) -> list[Set]:
    """Those of the other loaders, one of each role that ``sets`` do not have."""
    names, found = _names(), [*sets]
    for loader in subject.others:
        role = names.get(id(loader)) or names.get(id(loader.dataset)) or "validation"
        if role not in {known.role for known in found} and all(loader.dataset is not known.dataset for known in found):
            found.append(_of_loader(role, loader))
    return found[len(sets) :]


def _names() -> dict[int, str]:
    """Roles of what the user's variables hold, by id()."""
    roles: dict[int, str] = {}
    for name, value in _variables():
        role = role_of(name)
        if role is not None and not isinstance(value, str | int | float):
            roles.setdefault(id(value), role)
    return roles


def _variables() -> Iterator[tuple[str, Any]]:
    """The user's own, innermost first; of the main module where the script has come to its end."""
    for frame in frames():
        yield from [*frame.f_locals.items(), *frame.f_globals.items()]
    yield from [*vars(sys.modules["__main__"]).items()]


def role_of(name: str) -> str | None:
    """The role that a variable's name says."""
    lower = name.lower()
    return next((role for role, pattern in ROLES if pattern.search(lower)), None)


def _of_loader(role: str, loader: DataLoader[Any]) -> Set:
    dataset = loader.dataset
    batches = loader.batch_sampler is not None  # else every item of the data set is a batch, or enters alone
    collate = loader.collate_fn if batches else (lambda items: loader.collate_fn(items[0]))
    if isinstance(dataset, IterableDataset):
        stream = iter(dataset)
        return Set(role, None, lambda place: _split(collate([next(stream)])), dataset, drawn=False)
    size = len(dataset)  # type: ignore[arg-type]
    return Set(role, size, lambda place: _split(collate([dataset[place]])), dataset, _drawn(dataset))


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


# tensors that the script slices itself


def _held(subject: Subject) -> list[Set]:
    """Tensors and arrays of the user's whose rows the model was called with."""
    batch = subject.step().batch
    entered = next((tensor for _, tensor in batch.named()), None)
    if entered is None:
        raise NotPossibleError("no DataLoader gave what the model was called with", LINE)
    wanted = batch.term.target
    held = {name: value for name, value in _arrays().items() if value.shape[1:] == entered.shape[1:]}
    first = entered[:1].detach().cpu()  # a variable no larger than a batch may be a batch
    sources = [name for name, value in held.items() if len(value) > len(entered) and _holds(value, first)]
    if not sources:
        raise NotPossibleError("neither a DataLoader nor a tensor holds what the model was called with", LINE)
    name = max(sources, key=lambda each: len(held[each]))
    sets = [_of_arrays("train", name, held[name], wanted)]
    sets[0].partly = role_of(name) != "train"
    for other, value in held.items():
        role = role_of(other)
        if role not in (None, "train") and other not in sources and role not in {known.role for known in sets}:
            sets.append(_of_arrays(str(role), other, value, wanted))
    return sets + _others(subject, sets)


def _arrays() -> dict[str, torch.Tensor]:
    """The user's tensors and arrays of at least two rows, by the name of their variable."""
    found: dict[str, torch.Tensor] = {}
    for name, value in _variables():
        plain = torch.from_numpy(value) if isinstance(value, np.ndarray) and value.dtype.kind in "fiu" else value
        if isinstance(plain, torch.Tensor) and plain.dim() and len(plain) > 1:
            found.setdefault(name, plain)
    return found


def _holds(rows: torch.Tensor, first: torch.Tensor) -> bool:
    same = rows.detach().cpu().to(first.dtype) == first
    return bool(same.reshape(len(rows), -1).all(1).any())


def _of_arrays(role: str, name: str, rows: torch.Tensor, wanted: torch.Tensor | None) -> Set:
    """``wanted``: the target of a batch, by whose shape the one of this data set is found; its name tells it from
    others of that length."""
    ending = re.sub(r"^[xX]", "", name)
    fitting = {
        other: value
        for other, value in _arrays().items()
        if wanted is not None and len(value) == len(rows) and value.shape[1:] == wanted.shape[1:] and value is not rows
    }
    chosen = next((value for other, value in fitting.items() if re.sub(r"^[yYtT]", "", other) == ending), None)
    if chosen is None and len(fitting) == 1:
        chosen = next(iter(fitting.values()))
    targets = chosen
    return Set(
        role,
        len(rows),
        lambda place: Sample(row(rows[place]), None if targets is None else row(targets[place])),
        rows,
        drawn=False,
    )


def _of_samples(samples: Sequence[Sample]) -> Set:
    """A stream of them."""

    def read(place: int) -> Sample:
        if place >= len(samples):
            raise StopIteration
        return samples[place]

    made = Set("train", None, read, samples, drawn=False)
    made.seen = True
    return made
