"""Do targets belong to their samples? The losses of pairs of samples, as they are and with their targets exchanged.

To a guess that never looks at the input an exchange makes no difference, whatever the loss: no baseline is needed.
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
    """``metric``.match: share of the pairs of samples that would cost more with their targets exchanged; 0.5 where what
    is predicted says nothing of the targets, however common each of them is. Ties count half, pairs of equal targets
    not; ``metric``.pairs is how many are left. Nothing where the loss function cannot tell samples apart."""
    output, target = term.input, term.target
    if output is None or target is None or target.dim() == 0 or target.shape[:1] != output.shape[:1]:
        return
    rows = min(len(target), ROWS) // 2 * 2
    if rows < 4:
        return
    output, target = output.detach()[:rows], target.detach()[:rows]
    parts = [each.losses(_with(term, output, target), rows)]
    if len(parts[0]) != rows:
        return
    places = np.arange(rows)
    partners = [np.roll(places, rows // 2), places ^ 1]
    for partner in partners:
        others = (
            target.roll(rows // 2, 0) if partner is partners[0] else target.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)
        )
        parts += [each.losses(_with(term, output, others), rows), (others == target).reshape(rows, -1).all(1)]

    def reduce(arrays: Arrays) -> None:
        better, pairs = 0.0, 0
        for partner, other, same in zip(partners, arrays[1::2], arrays[2::2], strict=True):
            dearer = (other - arrays[0])[places < partner] + (other - arrays[0])[partner[places < partner]]
            dearer = dearer[(same[places < partner] == 0) & np.isfinite(dearer)]
            better += float(np.count_nonzero(dearer > 0) + 0.5 * np.count_nonzero(dearer == 0))
            pairs += len(dearer)
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
