"""Do targets belong to their samples? Of each sample the loss with its own target and with those of others.

A guess that never looks at the input fits every target of a batch alike, whatever the loss: no baseline is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from . import each
from .fetch import Arrays, Fetch
from .loss import Term

ROWS = 128
"""Samples of a batch that are compared, at most."""


def match(term: Term, fetch: Fetch, put: Callable[[str, Any], None], metric: str) -> None:
    """``metric``.match: share of the pairs of a sample and another one's target in which its own target costs it less;
    0.5 where what is predicted says nothing of the target. Ties count half, equal targets not; ``metric``.pairs is how
    many are left. Nothing where the loss function cannot tell samples apart."""
    output, target = term.input, term.target
    if output is None or target is None or target.dim() == 0 or len(target) < 4 or target.shape[:1] != output.shape[:1]:
        return
    rows = min(len(target), ROWS)
    output, target = output.detach()[:rows], target.detach()[:rows]
    own = each.losses(_with(term, output, target), rows)
    if len(own) != rows:
        return
    parts = [own]
    for shift in {1, rows // 2}:
        others = target.roll(shift, 0)
        parts += [each.losses(_with(term, output, others), rows), (others == target).reshape(rows, -1).all(1)]

    def reduce(arrays: Arrays) -> None:
        own, better, pairs = arrays[0], 0.0, 0
        for other, same in zip(arrays[1::2], arrays[2::2], strict=True):
            counted = (same == 0) & np.isfinite(own) & np.isfinite(other)
            better += float(np.count_nonzero((own < other)[counted]) + 0.5 * np.count_nonzero((own == other)[counted]))
            pairs += int(np.count_nonzero(counted))
        if pairs:
            put(f"{metric}.match", better / pairs)
            put(f"{metric}.pairs", float(pairs))

    fetch(parts, reduce)


def _with(term: Term, output: torch.Tensor, target: torch.Tensor) -> Term:
    """The same call of the loss function with another prediction and target."""
    if len(term.args) > 1:
        return term._replace(args=(output, target, *term.args[2:]))
    if term.args:
        return term._replace(args=(output,), kwargs={**term.kwargs, "target": target})
    return term._replace(kwargs={**term.kwargs, "input": output, "target": target})
