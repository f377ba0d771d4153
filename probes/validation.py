"""Records of validation batches: the loss, how right and how sure, and the losses of the first samples one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from zlib import crc32

import numpy as np
import torch

from . import confidence
from .emit import Column
from .fetch import Arrays, Fetch
from .loss import Term

EACH = 256
"""Samples of a batch whose own losses are kept."""
ELEMENTS = 1 << 18
"""Elements of the model's output that their losses are computed from, at most."""
CHECKED = 4096
"""Targets that the checksum covers."""


class Validation:
    """Makes the columns of a record from a call of a loss function. One per segment: the width of
    ``loss.val.each`` stays what the first batch made it."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._width: int | None = None

    def see(self, term: Term, value: torch.Tensor, done: Callable[[list[Column]], None]) -> None:
        """``done(columns)`` follows at once, or when the values have come from their device."""
        target, output = term.target, term.input
        counted = target if target is not None and target.dim() else output
        rows = counted.shape[0] if counted is not None and counted.dim() else 1
        parts = [value.detach().mean(dtype=torch.float32)]
        parts.append(target.detach().reshape(-1)[:CHECKED] if target is not None else parts[0].new_empty(0))
        parts.append(_each(term))
        selected = confidence.select(term)
        if selected is not None:
            parts += selected[0]
        self._fetch(parts, lambda arrays: done(self._columns(arrays, rows, selected)))

    def _columns(self, arrays: Arrays, rows: int, selected: Any) -> list[Column]:
        loss, target, each = arrays[:3]
        columns: list[Column] = [("loss.val", 0, float(loss)), ("val.size", 0, float(rows))]
        if len(target):
            columns.append(("val.order", 0, float(crc32(np.ascontiguousarray(target).tobytes()) & 0xFFFFFF)))
        if selected is not None:
            columns += confidence.columns(selected[1](arrays[3:]), confidence.VAL)
        if self._width is None:
            self._width = min(rows, EACH)
        if len(each):
            wide = np.full(self._width, np.nan)
            wide[: len(each)] = each[: self._width]
            columns.append(("loss.val.each", 0, wide))
        return columns


def _each(term: Term) -> torch.Tensor:
    """The loss of each of the first samples, by the user's own loss function unreduced; empty if it has none."""
    output, target = term.input, term.target
    nothing = torch.empty(0, device=output.device if output is not None else "cpu")
    if output is None or target is None or output.dim() == 0 or output.shape[:1] != target.shape[:1]:
        return nothing
    rows = max(1, min(EACH, len(output), ELEMENTS // max(1, output.numel() // len(output) if len(output) else 1)))
    kept: Sequence[Any] = term.args[2:]
    if len(kept) > 1 or any(isinstance(v, torch.Tensor) and v.dim() > 1 for v in (*kept, *term.kwargs.values())):
        return nothing  # old positional reductions, weights per element
    options = {key: value for key, value in term.kwargs.items() if key not in ("input", "target", "reduction")}
    try:
        with torch.no_grad():
            losses = term.function(output.detach()[:rows], target.detach()[:rows], *kept, **options, reduction="none")
    except (TypeError, RuntimeError, ValueError):  # no such option
        return nothing
    return losses.reshape(rows, -1).mean(1)
