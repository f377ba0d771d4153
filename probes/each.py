"""The loss of each sample, by the script's own loss function without its reduction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from .attribution import quiet
from .fetch import Fetch
from .loss import Term

if TYPE_CHECKING:
    from numpy.typing import NDArray

ELEMENTS = 1 << 18
"""Elements of the model's output that losses are computed from, at most."""
REPLACED = {"input", "target", "reduction", "size_average", "reduce"}
"""What is given anew; the last two are old names of the reduction."""


def losses(term: Term, most: int) -> torch.Tensor:
    """Of the first samples, ``most`` at most; empty if the function has no such option."""
    output, target = term.input, term.target
    nothing = torch.empty(0, device=output.device if output is not None else "cpu")
    if output is None or target is None or not output.numel() or output.shape[:1] != target.shape[:1]:
        return nothing
    if not output.dim():
        return nothing
    rows = max(1, min(most, len(output), ELEMENTS * len(output) // output.numel()))
    kept: Sequence[Any] = term.args[2:]
    if len(kept) > 1 or any(isinstance(v, torch.Tensor) and v.dim() > 1 for v in (*kept, *term.kwargs.values())):
        return nothing  # old positional reductions, weights per element
    options = {key: value for key, value in term.kwargs.items() if key not in REPLACED}
    try:
        with torch.no_grad(), quiet():
            found = term.function(output.detach()[:rows], target.detach()[:rows], *kept, **options, reduction="none")
    except (TypeError, RuntimeError, ValueError):  # no such option
        return nothing
    return found.reshape(rows, -1).mean(1)


def first(term: Term, most: int, fetch: Fetch, put: Callable[[NDArray[Any]], None]) -> None:
    """The same, as numbers."""
    found = losses(term, most)
    if len(found):
        fetch([found], lambda arrays: put(arrays[0]))
