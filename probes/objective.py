"""From what the model gives to the loss, as the script does it: made out once a step, on the step's own numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .loss import Term
from .nested import tensors

Way = Callable[[torch.Tensor], torch.Tensor]

WAYS: tuple[Way, ...] = (
    lambda part: part,
    lambda part: part[..., :-1, :],
    lambda part: part.log_softmax(-1),
    lambda part: part.softmax(-1),
    lambda part: part.sigmoid(),
    lambda part: part.log_softmax(1),
)
"""What scripts do between model and loss function, besides a view: a copy in another type or without the last place
(language models), log_softmax before nll_loss, sigmoid before binary cross entropy."""


class Objective:
    """Called with what the model gives now, it gives the loss. Raises ValueError for an output of another form."""

    def __init__(self, term: Term, place: int, like: torch.Tensor, way: Way | None) -> None:
        self._term = term
        self._place = place
        self._form = like.shape, like.stride(), like.dtype
        self._way = way

    @property
    def inside(self) -> bool:
        """The model itself calls the loss function."""
        return self._way is None

    def __call__(self, output: Any) -> torch.Tensor:
        given = list(tensors(output))
        part = given[self._place] if self._place < len(given) else None
        if part is None or (part.shape, part.stride(), part.dtype) != self._form:
            raise ValueError("the model gives something else now")
        if self._way is None:
            return part
        prediction, term = self._way(part), self._term
        if term.args:
            return term.function(prediction, *term.args[1:], **term.kwargs)
        return term.function(**{**term.kwargs, "input": prediction})


def objective(output: Any, term: Term) -> Objective | None:
    """How ``term`` came from ``output``; None if that cannot be made out. What the script does between the two is taken
    to be a view, or one of a few common operations that give the very same numbers."""
    given = list(tensors(output))
    for place, part in enumerate(given):
        if part.dim() == 0 and part.grad_fn is not None and part.grad_fn._sequence_nr() == term.sequence:
            return Objective(term, place, part, None)
    if term.input is None:
        return None
    for place, part in enumerate(given):
        way = _between(part.detach(), term.input.detach())
        if way is not None:
            return Objective(term, place, part, way)
    return None


def _between(part: torch.Tensor, wanted: torch.Tensor) -> Way | None:
    """From what the model gave to what the loss function got."""
    size, stride, dtype = wanted.shape, wanted.stride(), wanted.dtype
    if part.untyped_storage().data_ptr() == wanted.untyped_storage().data_ptr() and part.dtype == dtype:
        offset = wanted.storage_offset() - part.storage_offset()
        return lambda again: again.as_strided(size, stride, again.storage_offset() + offset)
    if not part.is_cpu:  # to compare values is to wait for them
        return None
    for way in WAYS:
        try:
            if torch.equal(way(part).to(dtype).reshape(size), wanted):
                return _reshaped(way, dtype, size)
        except (RuntimeError, IndexError):  # not of such a shape
            continue
    return None


def _reshaped(way: Way, dtype: torch.dtype, size: torch.Size) -> Way:
    return lambda again: way(again).to(dtype).reshape(size)
