"""The loss of predicting the last value again, for models of time series."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .attribution import quiet
from .fetch import Fetch
from .loss import Term
from .nested import tensors
from .outputs import REGRESSION

ALIKE = 0.5
"""A series' neighbours are alike: the mean square of its differences is below this part of twice its variance, which
it would equal were the values in no order (von Neumann's ratio, halved). Columns of a table are not."""
SAMPLES = 64


def loss(term: Term, values: Any, fetch: Fetch, put: Callable[[float], None]) -> None:
    """With the script's own loss function; nothing where the input is no series, or its last value is no prediction."""
    target = term.target
    series = next((tensor.detach() for tensor in tensors(values) if tensor.is_floating_point()), None)
    if term.name not in REGRESSION or target is None or series is None or not target.is_floating_point():
        return
    found = _last(series, target.detach())
    if found is None:
        return
    last, along = found
    options = {key: value for key, value in term.kwargs.items() if key not in ("input", "target")}
    with torch.no_grad(), quiet():
        number = term.function(last, target.detach(), *term.args[2:], **options)
    if number.dim():
        return
    along = along[:SAMPLES].float()
    ratio = along.diff(dim=1).square().mean() / (2 * along.var(1).mean())

    def arrived(arrays: Any) -> None:
        if float(arrays[1]) < ALIKE:
            put(float(arrays[0]))

    fetch([number, ratio], arrived)


def _last(series: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The last values in the shape of the target, and the series as (samples, time, ...): of (N, T), (N, T, F),
    (T, N, F) or (N, F, T)."""
    if not target.dim() or series.dim() not in (2, 3):
        return None
    forms = [series] if series.dim() == 2 else [series, series.transpose(0, 1), series.transpose(1, 2)]
    for form in forms:
        last = form[:, -1]
        if len(form) == len(target) and form.shape[1] > 2 and last.numel() == target.numel():
            return last.reshape(target.shape), form
    return None
