"""Do targets belong to their samples? The losses of pairs of samples, as they are and with their targets exchanged.

To a guess that never looks at the input an exchange makes no difference, whatever the loss: no baseline is needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from . import each
from .emit import Emitter
from .fetch import Arrays, Fetch
from .loss import Term

ROWS = 128
"""Samples of a batch that are compared, at most."""
TERMS = 8
"""Loss calls of a step that are compared, and kinds of them that are told apart, at most."""

Put = Callable[[str, Any, int], None]
"""Gets a metric, its values and the id of their labels."""


class Match:
    """One per segment: kinds of loss calls keep their places, and those of validation stand at the same ones.

    ``METRIC.match`` is the share of the pairs of samples that would cost more with their targets exchanged; 0.5 where
    what is predicted says nothing of the targets, however common each of them is. Ties count half, pairs of equal
    targets not; ``METRIC.pairs`` is how many are left. NaN for a kind that was not called or cannot tell samples apart.
    """

    def __init__(self, emit: Emitter, fetch: Fetch) -> None:
        self._emit = emit
        self._fetch = fetch
        self._kinds: list[str] = []

    def see(self, terms: Sequence[Term], put: Put, metric: str) -> None:
        """Loss calls that belong together. Not those that hold one prediction against several targets alike, for it
        fits each of these in part (mixup)."""
        times = Counter(map(_comparison, terms))
        found = [
            (self._place(term), pairs)
            for term in terms[:TERMS]
            if times[_comparison(term)] == 1 and (pairs := _pairs(term)) is not None
        ]
        if not found:
            return

        def reduce(arrays: Arrays) -> None:
            better, count = np.zeros((2, len(self._kinds)))
            for place, pairs in found:
                mine, arrays = arrays[: len(pairs.parts)], arrays[len(pairs.parts) :]
                dearer = pairs.dearer(mine)
                better[place] += np.count_nonzero(dearer > 0) + 0.5 * np.count_nonzero(dearer == 0)
                count[place] += len(dearer)
            if count.any():
                with np.errstate(invalid="ignore"):
                    share = better / count
                labels = self._emit.labels(self._kinds)
                put(f"{metric}.match", share, labels)
                put(f"{metric}.pairs", np.where(count > 0, count, np.nan), labels)

        self._fetch([part for _, pairs in found for part in pairs.parts], reduce)

    def _place(self, term: Term) -> int:
        """Where its kind stands; those that are too many stand together at the end."""
        kind = _kind(term)
        if kind not in self._kinds and len(self._kinds) < TERMS:
            self._kinds.append(kind)
        return self._kinds.index(kind) if kind in self._kinds else TERMS - 1


def _comparison(term: Term) -> tuple[Any, ...]:
    """The same of calls that compare the same prediction in the same way."""
    output = term.input
    return (term.name, *((output.data_ptr(), output.shape, output.stride()) if output is not None else ()))


def _kind(term: Term) -> str:
    """Name and form of a loss call, whatever the lengths of its batch and its sequences: "cross_entropy 1d of 10".
    Where the others of the batch are the classes (contrastive), these are not counted."""
    output, target = term.input, term.target
    assert output is not None
    assert target is not None
    classes = f" of {output.shape[1]}" if output.dim() > target.dim() and output.shape[1] != len(output) else ""
    return f"{term.name} {target.dim()}d{classes}"


class _Pairs(NamedTuple):
    """``parts`` hold the losses of the samples as they are, then for each of two ways to pair them the ``partners``:
    losses with their targets exchanged, and where these are equal."""

    partners: list[np.ndarray]
    parts: list[torch.Tensor]

    def dearer(self, arrays: Arrays) -> np.ndarray:
        """What each pair would cost more with its targets exchanged; pairs of equal targets are left out."""
        found = []
        for partner, other, same in zip(self.partners, arrays[1::2], arrays[2::2], strict=True):
            first = np.arange(len(partner)) < partner
            more = other - arrays[0]
            both = more[first] + more[partner[first]]
            found.append(both[(same[first] == 0) & np.isfinite(both)])
        return np.concatenate(found)


def _pairs(term: Term) -> _Pairs | None:
    """None where the loss function cannot tell samples apart."""
    output, target = term.input, term.target
    if output is None or target is None or target.dim() == 0 or target.shape[:1] != output.shape[:1]:
        return None
    rows = min(len(target), ROWS) // 2 * 2
    if rows < 4:
        return None
    output, target = output.detach()[:rows], target.detach()[:rows]
    parts = [each.losses(_with(term, output, target), rows)]
    if len(parts[0]) != rows:
        return None
    places = np.arange(rows)
    partners = [np.roll(places, rows // 2), places ^ 1]
    exchanged = [target.roll(rows // 2, 0), target.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)]
    for others in exchanged:
        parts += [each.losses(_with(term, output, others), rows), (others == target).reshape(rows, -1).all(1)]
    return _Pairs(partners, parts)


def _with(term: Term, output: torch.Tensor, target: torch.Tensor) -> Term:
    """The same call of the loss function with another prediction and target."""
    if len(term.args) > 1:
        return term._replace(args=(output, target, *term.args[2:]))
    if term.args:
        return term._replace(args=(output,), kwargs={**term.kwargs, "target": target})
    return term._replace(kwargs={**term.kwargs, "input": output, "target": target})
