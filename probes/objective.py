"""From what the model gives to the loss, as the script does it: found once, on the step's own numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from .inputs import tensors
from .loss import Term

Objective = Callable[[Any], torch.Tensor]
"""From the model's output to the loss, a scalar. Raises ValueError for an output of another form."""


def objective(output: Any, term: Term) -> tuple[Objective, bool] | None:
    """How ``term`` came from ``output``, and whether the model itself called the loss function; None if that cannot be
    made out. What the script does between the two is taken to be a view, or one of a few common operations that give
    the very same numbers."""
    given = list(tensors(output))
    wanted = term.input
    for place, part in enumerate(given):
        if part.dim() == 0 and isinstance(term.value, float) and float(part) == term.value:
            return (lambda again, place=place: _part(again, place, part)), True
    if wanted is None:
        return None
    for place, part in enumerate(given):
        for between in _between(part, wanted):
            return (lambda again, place=place, between=between: _called(term, between(_part(again, place, part)))), False
    return None


def _part(output: Any, place: int, like: torch.Tensor) -> torch.Tensor:
    """The tensor at ``place`` of a nested output, which has to be laid out as ``like``."""
    given = list(tensors(output))
    if place >= len(given) or (given[place].shape, given[place].stride()) != (like.shape, like.stride()):
        raise ValueError("the model gives something else now")
    return given[place]


def _called(term: Term, prediction: torch.Tensor) -> torch.Tensor:
    if term.args:
        return term.function(prediction, *term.args[1:], **term.kwargs)
    return term.function(**{**term.kwargs, "input": prediction})


def _between(part: torch.Tensor, wanted: torch.Tensor) -> Iterator[Callable[[torch.Tensor], torch.Tensor]]:
    """Ways from what the model gave to what the loss function got, on detached tensors."""
    part, wanted = part.detach(), wanted.detach()
    size, stride = wanted.shape, wanted.stride()
    if part.untyped_storage().data_ptr() == wanted.untyped_storage().data_ptr() and part.dtype == wanted.dtype:
        offset = wanted.storage_offset() - part.storage_offset()
        yield lambda again: again.as_strided(size, stride, again.storage_offset() + offset)
        return
    for way in _WAYS:
        try:
            same = torch.equal(way(part).to(wanted.dtype).reshape(size), wanted)
        except (RuntimeError, IndexError):  # not of such a shape
            continue
        if same:
            yield lambda again, way=way: way(again).to(wanted.dtype).reshape(size)


_WAYS: tuple[Callable[[torch.Tensor], torch.Tensor], ...] = (
    lambda part: part,
    lambda part: part[..., :-1, :],
    lambda part: part.log_softmax(-1),
    lambda part: part.softmax(-1),
    lambda part: part.sigmoid(),
    lambda part: part.log_softmax(1),
)
"""What scripts do between model and loss function, besides a view: a copy in another type or without the last place
(language models), log_softmax before nll_loss, sigmoid before binary cross entropy."""
