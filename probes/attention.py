"""How large attention logits can be: |q.k| / sqrt(d) <= max |q| max |k| / sqrt(d).

Of sampled rows of q and k, over all heads together. Attention written out with matmul is not seen.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from .fetch import Fetch
from .functions import Watcher, calling_module
from .sample import Sample

ROWS = 128
"""Rows of q and of k looked at, at most."""
WORK = 1 << 20
"""Multiplications that projecting the rows of one MultiheadAttention may take; four rows are looked at in any case."""


class Attention:
    """``names`` of the model's modules by id()."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self.names: dict[int, str] = {}
        self.watchers: dict[Any, Watcher] = {
            F.scaled_dot_product_attention: self._scaled,
            F.multi_head_attention_forward: self._multihead,
        }
        self.seen: set[str] = set()
        """Layers seen so far."""
        self._bounds: dict[str, float] = {}

    def _scaled(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        query = kwargs["query"] if "query" in kwargs else args[0]
        key = kwargs["key"] if "key" in kwargs else args[1]
        scale = kwargs.get("scale")
        q, k = _rows(query, ROWS), _rows(key, ROWS)
        self._measure(q.norm(dim=-1), k.norm(dim=-1), scale if scale is not None else 1 / sqrt(query.shape[-1]))

    def _multihead(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """Projects some rows again: what happens inside is hidden from a function mode."""
        query, key, _, width, heads, weight, bias = args[:7]
        if weight is None:  # q and k of different sizes
            weights = kwargs["q_proj_weight"], kwargs["k_proj_weight"]
        else:
            weights = weight[:width], weight[width : 2 * width]
        biases = (None, None) if bias is None else (bias[:width], bias[width : 2 * width])
        most = min(ROWS, max(4, WORK // (width * width)))
        norms = []
        with torch.no_grad():
            for rows, w, b in zip((query, key), weights, biases, strict=True):
                projected = F.linear(_rows(rows, most), w.float(), b if b is None else b.float())
                norms.append(projected.unflatten(-1, (heads, -1)).norm(dim=-1))
        self._measure(norms[0], norms[1], 1 / sqrt(width // heads))

    def _measure(self, q: torch.Tensor, k: torch.Tensor, scale: float) -> None:
        name = self.names.get(id(calling_module()), "")
        self.seen.add(name)

        def arrived(arrays: Any) -> None:
            with np.errstate(all="ignore"):
                bound = float(arrays[0]) * float(arrays[1]) * scale
            self._bounds[name] = np.fmax(self._bounds.get(name, np.nan), bound)

        self._fetch([q.amax(), k.amax()], arrived)

    def put(self, sample: Sample, labels: Callable[[list[str]], int]) -> None:
        if self._bounds:
            names = sorted(self._bounds)
            sample.detail("attention.logit", [self._bounds[name] for name in names], labels(names))
            self._bounds.clear()


def _rows(tensor: torch.Tensor, most: int) -> torch.Tensor:
    """(n, width) float32: some rows of a tensor of shape (..., width), n at most about ``most``."""
    part = tensor.detach()
    for axis in range(part.dim() - 1):
        rows = part.numel() // max(1, part.shape[-1])
        part = part[(slice(None),) * axis + (slice(None, None, min(part.shape[axis], max(1, -(-rows // most)))),)]
    return part.reshape(-1, part.shape[-1]).float()
