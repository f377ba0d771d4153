"""Which numbers of a tensor are not finite, in words and by sample."""

from __future__ import annotations

import torch

HALF = (torch.float16, torch.bfloat16)


def finite(tensor: torch.Tensor) -> bool:
    """No NaN and no infinity; waits for the device, so only where the run is already lost."""
    return bool(torch.isfinite(tensor.detach()).all())


def local(tensor: torch.Tensor) -> torch.Tensor:
    """This rank's shard: asking others would wait."""
    found: torch.Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return found


def dense(gradient: torch.Tensor) -> torch.Tensor:
    """The numbers that a gradient holds here."""
    return gradient.coalesce().values() if gradient.is_sparse else local(gradient)


def rows(tensor: torch.Tensor) -> list[int]:
    """The first samples of a batch that hold a number that is not finite."""
    wrong = ~torch.isfinite(tensor.detach())
    if not wrong.dim():
        return []
    bad = wrong.flatten(1).any(1) if wrong.dim() > 1 else wrong
    found: list[int] = bad.nonzero().flatten()[:10].tolist()
    return found


def described(tensor: torch.Tensor, what: str) -> str:
    """How many of its values are not finite, and in which columns of a table."""
    values = tensor.detach()
    nan, infinite = int(values.isnan().sum()), int(values.isinf().sum())
    wrong = ~torch.isfinite(values)
    counts = " and ".join(f"{n} {kind}" for n, kind in ((nan, "NaN"), (infinite, "infinite")) if n)
    text = f"{counts} of {values.numel()} {what} values"
    if wrong.dim() == 2:
        columns = wrong.any(0).nonzero().flatten()
        text += (
            f", column {', '.join(map(str, columns[:5].tolist()))}"
            if len(columns) <= 5
            else f", {len(columns)} columns"
        )
    return text
