"""Single elements of the parameters over one step: zero gradients, weights that did not move, Adam's second moment.

Of a parameter with more than ``SAMPLED`` elements a strided part stands for the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .fetch import Arrays, Fetch
from .subsample import strided

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLED = 256
MEDIAN = 64
"""Elements that a median is taken of."""

Done = Callable[[str, list[int], "NDArray[np.float64]"], None]
"""Gets a metric, the places of the parameters it is of, and its values."""


class Elements:
    """Of one optimizer's parameters, before its step. ``checksum`` goes on from that of the optimizers before it in
    the same step; of parameters in shards, which differ from rank to rank, it has nothing."""

    def __init__(self, optimizer: torch.optim.Optimizer, parameters: list[torch.Tensor], places: list[int]) -> None:
        kept = [(p, place) for p, place in zip(parameters, places, strict=True) if _plain(p)]
        self._optimizer = optimizer
        self._parameters = [p for p, _ in kept]
        self._places = [place for _, place in kept]
        parts = [strided(p, SAMPLED) for p in self._parameters]
        self._counts = np.array([len(part) for part in parts])
        self._before = torch.cat(parts) if parts else torch.empty(0)

    def after(self, fetch: Fetch, done: Done, checksum: Callable[[bytes], None]) -> None:
        """After the step, when the gradients it used are still there."""
        if not self._parameters:
            return
        self._moved(fetch, done, checksum)
        self._second_moment(fetch, done)

    def _moved(self, fetch: Fetch, done: Done, checksum: Callable[[bytes], None]) -> None:
        index = [i for i, p in enumerate(self._parameters) if p.grad is not None and _plain(p.grad, p)]
        gradients = _sampled([self._parameters[i].grad for i in index])
        counts, ends = self._counts, np.add.accumulate(self._counts)

        def reduce(arrays: Arrays) -> None:
            before, after, gradient = arrays
            checksum(np.ascontiguousarray(after, np.float32).tobytes())
            if not index:
                return
            at = np.concatenate([np.arange(ends[i] - counts[i], ends[i]) for i in index])
            starts = np.add.accumulate(counts[index]) - counts[index]
            moving = gradient != 0
            still = moving & (before[at] == after[at])
            used, unmoved = (np.add.reduceat(flags.astype(np.float64), starts) for flags in (moving, still))
            places = [self._places[i] for i in index]
            with np.errstate(all="ignore"):
                done("grad.zeros", places, 1 - used / counts[index])
                done("weight.unchanged", places, np.where(used > 0, unmoved / used, np.nan))

        fetch([self._before, _sampled(self._parameters), gradients], reduce)

    def _second_moment(self, fetch: Fetch, done: Done) -> None:
        """Adam's; a parameter of its own step count and eps."""
        state = self._optimizer.state
        settings = {id(p): group for group in self._optimizer.param_groups for p in group["params"]}
        places: list[int] = []
        parts, steps, betas, eps = [], [], [], []
        for parameter, place in zip(self._parameters, self._places, strict=True):
            group, own = settings[id(parameter)], state.get(parameter, {})
            if isinstance(own.get("exp_avg_sq"), torch.Tensor) and "betas" in group and group.get("eps"):
                places.append(place)
                parts.append(strided(own["exp_avg_sq"], MEDIAN))
                steps.append(torch.as_tensor(own["step"]).detach().reshape(1))
                betas.append(float(group["betas"][1]))
                eps.append(float(group["eps"]))
        if not places:
            return
        counts = np.array([len(part) for part in parts])

        def reduce(arrays: Arrays) -> None:
            wide = np.full((len(places), counts.max()), np.nan)
            with np.errstate(all="ignore"):
                wide[np.arange(counts.max()) < counts[:, None]] = np.sqrt(arrays[0])
            wide.sort(1)
            rows = np.arange(len(places))
            middle = (wide[rows, (counts - 1) // 2] + wide[rows, counts // 2]) / 2
            with np.errstate(all="ignore"):
                done("adam.eps.ratio", places, middle / np.sqrt(1 - np.array(betas) ** arrays[1]) / np.array(eps))

        if all(step.device == parts[0].device for step in steps):
            fetch([torch.cat(parts), torch.cat(steps)], reduce)
        elif all(step.is_cpu for step in steps):
            numbers = torch.cat(steps).numpy()
            fetch([torch.cat(parts)], lambda arrays: reduce([arrays[0], numbers]))


def _plain(tensor: torch.Tensor, like: torch.Tensor | None = None) -> bool:
    """Not in shards, not sparse, not empty, and in memory like ``like``."""
    return (
        not hasattr(tensor, "to_local")
        and not tensor.is_sparse
        and tensor.numel() > 0
        and (like is None or tensor.stride() == like.stride())
    )


def _sampled(tensors: Sequence[Any]) -> torch.Tensor:
    """A copy of the sampled elements of all of them."""
    return torch.cat([strided(tensor, SAMPLED) for tensor in tensors]) if tensors else torch.empty(0)
