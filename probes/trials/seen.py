"""Samples as they entered the model while the script ran: all there is of data that no loader and no variable has."""

from __future__ import annotations

import hashlib

import torch

from ..layers import Call
from ..loss import Term
from ..nested import tensors
from .captured import Batch, labels
from .reading import ELEMENTS
from .sequence import order
from .sets import Sample, row


class Seen:
    """Each one once: a loop gives them again and again."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._known: set[bytes] = set()
        self._elements = 0

    def take(self, call: Call, term: Term) -> None:
        """The batch of one step, whose model call and loss these are."""
        first = next((tensor for tensor in tensors([call.args, call.kwargs]) if tensor.dim()), None)
        if first is None or self._elements > ELEMENTS:
            return
        rows = first.shape[0]
        batch = Batch(call.args, call.kwargs, term, labels(call, term), rows)
        entered = [tensor.detach().cpu() for _, tensor in batch.named()]
        wanted = term.target.detach().cpu() if term.target is not None else None
        if wanted is not None and (known := order(entered, wanted)) is not None and known.time == 0:
            entered = [part.transpose(0, 1) for part in entered if part.dim() > 1]
            rows = entered[0].shape[0]
            wanted = wanted.reshape(-1, rows).t()
        if wanted is not None and wanted.shape[:1] != (rows,):
            wanted = wanted.reshape(rows, -1) if not wanted.numel() % rows else None
        for place in range(rows if entered else 0):
            one = slice(place, place + 1)
            self._add([part[one] for part in entered], wanted[one] if wanted is not None else None)

    def _add(self, entered: list[torch.Tensor], wanted: torch.Tensor | None) -> None:
        x, *beside = [row(part) for part in entered]
        digest = hashlib.sha1(usedforsecurity=False)
        for part in (x, *beside):
            digest.update(part.tobytes())
        if digest.digest() not in self._known:
            self._known.add(digest.digest())
            y = row(wanted).copy() if wanted is not None else None
            self.samples.append(Sample(x.copy(), y, tuple(part.copy() for part in beside)))
            self._elements += sum(part.size for part in (x, *beside)) + (y.size if y is not None else 0)
