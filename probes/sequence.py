"""Sequences of which places are to be told from others: can the model see what it is asked for?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .confidence import SOFTMAX
from .fetch import Arrays, Fetch
from .layers import Call
from .loss import Term
from .nested import tensors

LEAST = 4
"""Places that a sequence has at least."""
SAME = 0.99
"""Share of the targets that an input has, from which on it is what they were made of."""
OTHER = 0.9
"""The same at another place, above which the sequences are too monotonous to tell."""
LEFT_OUT = 0.3
"""Share of the places that the loss leaves out, from which on it asks for those that were hidden."""


def shown(entered: Any, term: Term, fetch: Fetch, put: Callable[[str, Any], None]) -> None:
    """``target.shown``: share of the targets that the loss asks for which stand in the first sequence that ``entered``
    the model, at their own place; of losses that leave out most places (a masked language model)."""
    target = term.target
    if term.name not in SOFTMAX or target is None or target.is_floating_point():
        return
    first = next((part for part in tensors(entered) if part.dim() == 2 and not part.is_floating_point()), None)
    if first is None or first.numel() != target.numel() or first.shape[1] < LEAST or first.device != target.device:
        return
    wanted = target.detach().reshape(-1)
    asked = wanted != term.option("ignore_index", 4, -100)

    def reduce(arrays: Arrays) -> None:
        there, counted = (float(array) for array in arrays)
        if 0 < counted <= (1 - LEFT_OUT) * len(wanted):
            put("target.shown", there / counted)

    fetch([((first.reshape(-1) == wanted) & asked).sum(), asked.sum()], reduce)


def exchanged(call: Call, term: Term) -> tuple[Call, int] | None:
    """The same call with the end of its sequences rolled among the samples, and how many outputs stand before that:
    none of them may change. None where the targets are no part of a sequence of tokens that enters the model.

    The targets are the first input one place later (a language model), or stand in a further one at their own place (a
    decoder that is given the answer, and has to shift it itself)."""
    target = term.target
    if term.name not in SOFTMAX or target is None or target.is_floating_point() or not target.is_cpu:
        return None
    if any(getattr(part, "batch_first", True) is False for part in call.module.modules()):
        return None
    ignored = term.option("ignore_index", 4, -100)
    sequences = [part for part in tensors([call.args, call.kwargs]) if part.dim() == 2 and not part.is_floating_point()]
    for place, part in enumerate(sequences):
        rows, length = part.shape
        wanted = (
            target.detach().reshape(rows, -1) if rows > 1 and target.numel() % rows == 0 else target.new_empty(0, 0)
        )
        if wanted.shape[1] < LEAST or length - wanted.shape[1] not in (0, 1):
            continue
        shares = [_share(part, wanted, shift, ignored) for shift in (0, 1)]
        shift = place == 0
        if shares[shift] > SAME and shares[not shift] < OTHER:
            half = wanted.shape[1] // 2
            rolled = torch.cat([part[:, :half], part[:, half:].roll(1, 0)], 1)
            return _replaced(call, part, rolled), half + 1 - shift
    return None


def _share(part: torch.Tensor, wanted: torch.Tensor, shift: int, ignored: int) -> float:
    """Of the targets (n, places), those that ``part`` has ``shift`` places later."""
    later = part[:, shift : shift + wanted.shape[1]]
    wanted = wanted[:, : later.shape[1]]
    counted = wanted != ignored
    return float(((later == wanted) & counted).sum() / counted.sum().clamp(min=1))


def _replaced(call: Call, old: torch.Tensor, new: torch.Tensor) -> Call:
    def changed(value: Any) -> Any:
        if type(value) in (list, tuple):
            return type(value)(changed(part) for part in value)
        if type(value) is dict:
            return {key: changed(part) for key, part in value.items()}
        return new if value is old else value

    return Call(call.module, changed(call.args), changed(call.kwargs), call.begun)


def beginning(output: Any, rows: int, length: int) -> torch.Tensor:
    """The first ``length`` outputs of each of so many sequences; empty where that is not what comes out."""
    part = next((tensor for tensor in tensors(output) if tensor.is_floating_point()), torch.empty(0))
    if part.dim() == 2 and len(part) > rows and len(part) % rows == 0:
        part = part.reshape(rows, -1, part.shape[1])
    return part[:, :length] if part.dim() == 3 and len(part) == rows else part.new_empty(0)
