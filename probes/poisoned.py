"""Weights that are no numbers any more: what the optimizer still holds says how they became so.

A gradient that is not finite stays in every moving average it enters. Where these are finite and the weight is not,
the gradients were sound and the optimizer's own arithmetic did it: a division by sqrt(v) + eps with v and eps both 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

_SQUARES = ("exp_avg_sq", "square_avg", "sum", "max_exp_avg_sq")
"""Names, in the states of torch's optimizers, of averages and sums of squared gradients."""


class Poisoned(NamedTuple):
    names: set[str]
    """Parameters that a gradient spoiled."""
    report: dict[str, Any] | None
    """The data of the event, where it was no gradient."""


def poisoned(
    parameters: Sequence[tuple[str, torch.Tensor]], optimizers: Sequence[torch.optim.Optimizer], steps: int
) -> Poisoned | None:
    """After ``steps`` steps; None when all weights are finite."""
    bad = {name: p for name, p in parameters if not bool(torch.isfinite(_local(p)).all())}
    if not bad:
        return None
    if not steps:
        detail = f"{len(bad)} of {len(parameters)} parameters were not finite before the first step"
        return Poisoned(set(), {"origin": "weights", "layer": _layer([*bad][-1]), "detail": detail})
    by_optimizer = _arithmetic(bad, optimizers)
    if by_optimizer is not None:
        return Poisoned(set(), by_optimizer | {"earlier": 1})
    return Poisoned(set(bad), None)


def _arithmetic(bad: dict[str, torch.Tensor], optimizers: Sequence[torch.optim.Optimizer]) -> dict[str, Any] | None:
    """The first parameter that its optimizer spoiled although everything it holds of the gradients is finite."""
    for name, parameter in bad.items():
        for optimizer in optimizers:
            group = next((g for g in optimizer.param_groups if any(p is parameter for p in g["params"])), None)
            state = optimizer.state.get(parameter) or {}
            averages = {
                key: _local(value)
                for key, value in state.items()
                if isinstance(value, torch.Tensor) and value.shape == parameter.shape
            }
            if group is None or not averages:
                continue
            if not all(bool(torch.isfinite(value).all()) for value in averages.values()):
                return None  # a gradient that was none has passed through
            dtype = str(parameter.dtype).removeprefix("torch.")
            report = {"origin": "optimizer", "layer": _layer(name), "op": type(optimizer).__name__}
            return report | {"detail": _division(name, _local(parameter), averages, float(group.get("eps", 0)), dtype)}
    return None


def _division(name: str, weight: torch.Tensor, averages: dict[str, torch.Tensor], eps: float, dtype: str) -> str:
    wrong = ~torch.isfinite(weight)
    count = f"{int(wrong.sum())} of {wrong.numel()} elements of {name}"
    square = next((key for key in _SQUARES if key in averages), None)
    if square is None:
        return f"{count}: the gradients that it remembers are finite, the step was not"
    zeros = int((averages[square][wrong] == 0).sum())
    small = torch.tensor(eps, dtype=weight.dtype).item() == 0.0
    if zeros and small:
        why = f"eps is {eps:g}" if eps == 0 else f"eps {eps:g} is 0 in {dtype}"
        return f"{count}: {square} is 0 in {zeros} of them and {why}, so the step was a division by 0"
    return f"{count}: {square} is finite there, the step was not"


def _layer(parameter: str) -> str:
    return parameter.rpartition(".")[0] or parameter


def _local(tensor: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return found
