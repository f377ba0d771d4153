"""Settings of an optimizer's parameter groups, read without waiting for a device."""

from __future__ import annotations

import torch

NAN = float("nan")


def rates(optimizer: torch.optim.Optimizer | None) -> list[float]:
    """Learning rate of each group; NaN on a device, whose value would have to be waited for."""
    if optimizer is None:
        return []
    found = [group["lr"] for group in optimizer.param_groups]
    for place, rate in enumerate(found):
        if type(rate) is not float:
            found[place] = NAN if isinstance(rate, torch.Tensor) and not rate.is_cpu else float(rate)
    return found


def momenta(optimizer: torch.optim.Optimizer) -> list[float]:
    """Momentum, or beta1, of each group; NaN where it has none or it is on a device."""
    found = [group.get("momentum", group["betas"][0] if "betas" in group else NAN) for group in optimizer.param_groups]
    return [NAN if isinstance(value, torch.Tensor) and not value.is_cpu else float(value) for value in found]
