"""The data sets of a script: those behind its loaders, tensors that it slices itself, or what entered the model."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ..source import frames
from ..variables import variables
from .sets import LINE, Sample, Set, of_loader, row
from .subject import NotPossibleError, Subject

ROLES = (
    ("test", re.compile(r"test")),
    ("validation", re.compile(r"val|dev|eval|holdout")),
    ("train", re.compile(r"tr")),
)
"""What a name says of a data set, in the order in which it is asked."""


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


def _loaded(subject: Subject) -> list[Set]:
    training = subject.loader
    assert training is not None
    sets = [of_loader("train", training)]
    return sets + _others(subject, sets)


def _others(subject: Subject, sets: Sequence[Set]) -> list[Set]:
    """Those of the other loaders, one of each role that ``sets`` do not have. One that no variable holds is taken for
    validation; one whose variable's name does not say so is not: it may be there for anything."""
    names, found = _names(), [*sets]
    for loader in subject.others:
        role = names.get(id(loader)) or names.get(id(loader.dataset))
        if role is None and id(loader) in names:
            continue
        role = role or "validation"
        if role not in {known.role for known in found} and all(loader.dataset is not known.dataset for known in found):
            found.append(of_loader(role, loader))
    return found[len(sets) :]


def _names() -> dict[int, str | None]:
    """Roles of what the user's variables hold, by id(); None where their names do not say one."""
    roles: dict[int, str | None] = {}
    for name, value in _variables():
        if not isinstance(value, str | int | float):
            roles[id(value)] = roles.get(id(value)) or role_of(name)
    return roles


def _variables() -> Iterator[tuple[str, Any]]:
    """The user's own, innermost first; of the main module where the script has come to its end."""
    for frame in frames():
        yield from [*variables(frame).items(), *frame.f_globals.items()]
    yield from [*vars(sys.modules["__main__"]).items()]


def role_of(name: str) -> str | None:
    """The role that a variable's name says."""
    lower = name.lower()
    return next((role for role, pattern in ROLES if pattern.search(lower)), None)


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
        lambda place: Sample(
            row(rows[place : place + 1]), None if targets is None else row(targets[place : place + 1])
        ),
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
