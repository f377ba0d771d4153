"""What enters the loss function as prediction: its moments, and whether it depends on the input at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .fetch import Arrays, Fetch
from .loss import Term
from .subsample import thinned

ROWS = 256
ELEMENTS = 16384
"""Elements looked at, at most about."""

REGRESSION = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")

Put = Callable[[str, Any], None]


def moments(term: Term, fetch: Fetch, put: Put) -> None:
    """``output.mean``, ``output.std`` and ``output.spread``."""

    def reduce(values: np.ndarray) -> None:
        put("output.mean", values.mean())
        put("output.std", values.std())
        put("output.spread", _spread(values))

    _look(term.input, fetch, reduce)


def spread(term: Term, fetch: Fetch, put: Put) -> None:
    """``output.val.spread``."""
    _look(term.input, fetch, lambda values: put("output.val.spread", _spread(values)))


def _look(output: torch.Tensor | None, fetch: Fetch, then: Callable[[np.ndarray], None]) -> None:
    if output is None or not output.dim() or not output.numel() or not output.is_floating_point():
        return
    part = thinned(output[:: -(-len(output) // ROWS)], ELEMENTS // min(ROWS, len(output)))

    def reduce(arrays: Arrays) -> None:
        with np.errstate(all="ignore"):
            then(arrays[0].reshape(len(arrays[0]), -1).astype(np.float64))

    fetch([part], reduce)


def _spread(values: np.ndarray) -> float:
    """Root mean square over the features (axis 1) of the standard deviation across the samples (axis 0)."""
    return float(np.sqrt(values.var(0).mean())) if len(values) > 1 else np.nan


def r2(term: Term, fetch: Fetch, put: Callable[[float], None]) -> None:
    """1 - squared error / variance, of each target about its own mean over the batch."""
    output, target = term.input, term.target
    if term.name not in REGRESSION or output is None or target is None or output.shape != target.shape:
        return
    if len(output) < 2 or not target.is_floating_point():
        return
    step, most = -(-len(output) // ROWS), ELEMENTS // min(ROWS, len(output))

    def reduce(arrays: Arrays) -> None:
        predicted, wanted = (array.reshape(len(array), -1).astype(np.float64) for array in arrays)
        with np.errstate(all="ignore"):
            error, variance = np.square(predicted - wanted).sum(), np.square(wanted - wanted.mean(0)).sum()
            if variance != 0:
                put(float(1 - error / variance))

    fetch([thinned(output[::step], most), thinned(target[::step], most)], reduce)
