"""How a call of a loss function reduced the losses of its elements, and what their mean would have been."""

from __future__ import annotations

import inspect
from functools import lru_cache

import torch
from torch.nn import _reduction

from .loss import Term

BY_CLASS = ("cross_entropy", "nll_loss")
BY_ELEMENT = (
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
    "soft_margin_loss",
)
"""Functions whose mean is over the elements of what they return without a reduction."""


_signature = lru_cache(maxsize=32)(inspect.signature)


def of(term: Term) -> str:
    """``mean``, ``sum`` or ``none``; size_average and reduce, torch's old names for it, still overrule the new one."""
    if len(term.args) <= 2 and "size_average" not in term.kwargs and "reduce" not in term.kwargs:
        return str(term.kwargs.get("reduction", "mean"))
    try:
        given = _signature(term.function).bind_partial(*term.args, **term.kwargs).arguments
    except (TypeError, ValueError):  # not a function of Python, or one of the script's own
        given = dict(term.kwargs)
    old = given.get("size_average"), given.get("reduce")
    if old == (None, None):
        return str(given.get("reduction", "mean"))
    return _reduction.legacy_get_string(*old, emit_warning=False)


def averaged(term: Term, total: torch.Tensor) -> torch.Tensor:
    """The mean of what ``term`` summed up to ``total``; ``total`` itself where that cannot be told."""
    output, target = term.input, term.target
    if output is None or target is None:
        return total
    count: float | torch.Tensor = 1
    if term.name in BY_ELEMENT:
        count = torch.broadcast_shapes(output.shape, target.shape).numel()
    elif term.name in BY_CLASS and term.option("weight", 2, None) is None:
        shares = target.is_floating_point()
        count = target.numel() / output.shape[1] if shares else (target != term.kwargs.get("ignore_index", -100)).sum()
    return torch.div(total, count)
