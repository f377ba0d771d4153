"""An averaged copy of the model: how far it is from the weights that are trained."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from .fetch import Arrays, Fetch
from .subsample import strided

SAMPLED = 256
"""Elements of each parameter looked at, at most about."""


class Averaged:
    """One per segment. A copy of the model that is not trained counts from when it has first been seen to change."""

    def __init__(self) -> None:
        self._copy: weakref.ref[nn.Module] | None = None
        self._last: np.ndarray | None = None
        self._follows = False

    @property
    def rests(self) -> bool:
        """Is there a copy, in eval mode?"""
        copy = self._copy() if self._copy is not None else None
        return copy is not None and not copy.training

    def distance(
        self, root: nn.Module, modules: Iterable[nn.Module], fetch: Fetch, put: Callable[[float], None]
    ) -> None:
        """``||copy - weights|| / ||weights||``; ``modules`` are all that are alive."""
        copy = self._copy() if self._copy is not None else None
        if copy is None:
            copy = _find(root, list(modules))
            self._copy, self._last = (weakref.ref(copy), None) if copy is not None else (None, None)
        if copy is None:
            return
        ours, theirs = _sampled(root), _sampled(copy.module if isinstance(copy, AveragedModel) else copy)
        if ours is None or theirs is None or ours.shape != theirs.shape or ours.device != theirs.device:
            return
        known = isinstance(copy, AveragedModel)

        def reduce(arrays: Arrays) -> None:
            weights, average = arrays
            if self._last is not None and not np.array_equal(self._last, average):
                self._follows = True
            self._last = average
            if self._follows or known:
                with np.errstate(all="ignore"):
                    put(float(np.linalg.norm(average - weights) / np.linalg.norm(weights)))

        fetch([ours, theirs], reduce)


def _find(root: nn.Module, modules: list[nn.Module]) -> nn.Module | None:
    """The averaged copy of ``root``: torch's own, else a module of its class whose parameters have the same shapes."""
    shapes = [p.shape for p in root.parameters()]
    averages = [m for m in modules if isinstance(m, AveragedModel)]
    copies = [m for m in modules if type(m) is type(root) and m is not root]
    inner = {id(m) for root in (root, *averages) for m in root.modules()} - {id(m) for m in averages}
    for module in (*averages, *(m for m in copies if id(m) not in inner)):
        found = module.module if isinstance(module, AveragedModel) else module
        if [p.shape for p in found.parameters()] == shapes:
            return module
    return None


def _sampled(module: nn.Module) -> torch.Tensor | None:
    parts = [strided(p, SAMPLED) for p in module.parameters() if p.numel() and not hasattr(p, "to_local")]
    return torch.cat(parts).float() if parts else None
