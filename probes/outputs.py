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

    def reduce(mean: float, std: float, spread: float) -> None:
        put("output.mean", mean)
        put("output.std", std)
        put("output.spread", spread)

    _look(term.input, fetch, reduce)


def spread(term: Term, fetch: Fetch, put: Put) -> None:
    """``output.val.spread``."""
    _look(term.input, fetch, lambda mean, std, spread: put("output.val.spread", spread))


def _look(output: torch.Tensor | None, fetch: Fetch, then: Callable[[float, float, float], None]) -> None:
    if output is None or not output.dim() or not output.numel() or not output.is_floating_point():
        return
    part = output.detach()
    if output.numel() > ELEMENTS:
        part = thinned(part[:: -(-len(output) // ROWS)], ELEMENTS // min(ROWS, len(output)))

    def reduce(arrays: Arrays) -> None:
        then(*_moments(arrays[0].reshape(len(arrays[0]), -1).astype(np.float64)))

    fetch([part], reduce)


def _moments(values: np.ndarray) -> tuple[float, float, float]:
    """Mean, standard deviation and, where there are several samples, spread of (samples, features): the root mean
    square over the features of the standard deviation across the samples. In sums: numpy's own functions take longer
    for a small array than their work."""
    samples, features = values.shape
    with np.errstate(all="ignore"):
        means = np.add.reduce(values, 0) / samples
        mean = np.add.reduce(means) / features
        values -= means
        within = np.vdot(values, values) / values.size
        means -= mean
        between = np.vdot(means, means) / features
        spread = np.sqrt(within) if samples > 1 else np.nan
        return float(mean), float(np.sqrt(within + between)), float(spread)


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
