"""What was made before the probes were put on torch, found among all objects of the process."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from .watch import Watch


def adopt(watch: Watch, model: nn.Module | None, *, under_way: bool = False) -> None:
    """Make modules, optimizers and schedulers known, in the order they were made as far as that can be told.

    ``under_way``: this may be the middle of a training step, of which half a record would come.
    """
    for module in model.modules() if isinstance(model, nn.Module) else ():
        watch.module_found(module)
    for found in _objects():
        # type() and not isinstance(): a proxy's __class__ may run the user's code
        if issubclass(type(found), nn.Module):
            watch.module_found(found)
        elif issubclass(type(found), torch.optim.Optimizer):
            watch.script.optimizer_found(found)
        elif issubclass(type(found), torch.optim.lr_scheduler.LRScheduler):
            watch.once.schedules.found(found)
    if under_way and watch.script.optimizers():
        watch.training.joining = watch.training.deaf = True


def _objects() -> Iterator[Any]:
    """The oldest generation of the garbage collector first."""
    for generation in (2, 1, 0):
        yield from gc.get_objects(generation)
