"""The training batch as it came: its labels in order, and how many of them are padding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from .confidence import SOFTMAX
from .emit import Column
from .fetch import Arrays, Fetch
from .loss import Term
from .model import Model
from .rows import checksum

EACH = 64
"""Labels kept."""
CHECKED = 4096
"""Targets that the checksum covers."""
SAMPLED = 65536

Put = Callable[[str, Any], None]


def labels(term: Term, fetch: Fetch, publish: Callable[[list[Column]], None]) -> None:
    """``target.order``, and ``target.each`` where there is one label for each sample."""
    target = term.target
    if target is None or not target.dim() or not target.numel():
        return
    single = target.numel() == len(target)
    seen = target.detach().reshape(-1)[:CHECKED]

    def reduce(arrays: Arrays) -> None:
        order: Column = "target.order", 0, checksum(arrays[0])
        publish([order, ("target.each", 0, arrays[0][:EACH])] if single else [order])

    fetch([seen], reduce)


def padding_indices(model: Model) -> dict[int, int]:
    """Padding index by the size of the vocabulary, of the model's embeddings that have one."""
    found = [module for root in model.roots for module in root.modules() if isinstance(module, nn.Embedding)]
    return {module.num_embeddings: module.padding_idx for module in found if module.padding_idx is not None}


def padding(term: Term, indices: dict[int, int], fetch: Fetch, put: Put) -> None:
    """``target.padding``, where the targets are tokens of the same vocabulary as an embedding's: ``indices`` as
    of ``padding_indices``."""
    output, target = term.input, term.target
    if term.name not in SOFTMAX or output is None or target is None or target.is_floating_point() or output.dim() < 2:
        return
    index = indices.get(output.shape[1])
    if index is None:
        return
    ignored = term.option("ignore_index", 4, -100)
    if ignored == index:
        put("target.padding", 0.0)
        return
    part = target.detach().reshape(-1)
    fetch(
        [part[:: max(1, len(part) // SAMPLED)]],
        lambda arrays: put("target.padding", np.count_nonzero(arrays[0] == index) / len(arrays[0])),
    )
