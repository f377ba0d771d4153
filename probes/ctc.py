"""CTC loss as other losses are: a row a sample first, targets of one shape, the lengths in them."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch

from .loss import Term


def by_sample(term: Term) -> Term:
    """The same call with the prediction (rows, classes, places) and the targets (rows, labels), blanks where they are
    shorter; any other loss function as it is."""
    output, target = term.input, term.target
    lengths = [term.option(name, place, None) for name, place in (("input_lengths", 2), ("target_lengths", 3))]
    known = all(length is not None and not (isinstance(length, torch.Tensor) and length.is_cuda) for length in lengths)
    if term.name != "ctc_loss" or output is None or target is None or output.dim() != 3 or not known:
        return term
    places, labels = (torch.as_tensor(length).reshape(-1) for length in lengths)
    blank = int(term.option("blank", 4, 0))
    if target.dim() == 1:
        target = torch.nn.utils.rnn.pad_sequence(list(target.split(labels.tolist())), True, blank)
    else:
        beyond = torch.arange(target.shape[1]) >= labels[:, None]
        target = target.masked_fill(beyond.to(target.device), blank)
    infinite = bool(term.option("zero_infinity", 6, default=False))
    function = functools.partial(_loss, term.function, places, blank, infinite)
    return term._replace(function=function, args=(output.permute(1, 2, 0), target), kwargs={})


def _loss(
    function: Callable[..., torch.Tensor],
    places: torch.Tensor,
    blank: int,
    infinite: bool,
    output: torch.Tensor,
    target: torch.Tensor,
    reduction: str = "none",
) -> torch.Tensor:
    lengths = (target != blank).sum(1)
    return function(output.permute(2, 0, 1), target, places[: len(target)], lengths, blank, reduction, infinite)
