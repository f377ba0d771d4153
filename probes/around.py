"""Patches on what happens around the steps: weights put anew, files, seeds, schedules. They only look on."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data.distributed import DistributedSampler

if TYPE_CHECKING:
    from .watch import Watch

INITIALISERS = (
    "uniform_", "normal_", "trunc_normal_", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_",
    "orthogonal_",
)  # fmt: skip
"""Names in torch.nn.init that fill weights; reset_parameters() of the modules of torch.nn calls one of them."""

SCHEDULERS = ("LRScheduler", "ReduceLROnPlateau", "SequentialLR", "ChainedScheduler")
"""The base class, and those that do not call the constructor they inherit."""

Put = Callable[[Any, str, Any], None]


def put(put: Put, watch: Watch) -> None:
    """``put(owner, name, patch)`` replaces an attribute until the watch is taken off."""

    def after(owner: Any, name: str, told: Callable[..., object]) -> None:
        put(owner, name, followed(watch, getattr(owner, name), told))

    segments, checkpoints, once = watch.segments, watch.checkpoints, watch.once
    after(torch.nn.Module, "load_state_dict", lambda _, module, *args, **kwargs: segments.weights_loaded(module))
    after(torch.optim.Optimizer, "load_state_dict", lambda _, own, *args, **kwargs: segments.optimizer_loaded(own))
    for name in INITIALISERS:
        after(torch.nn.init, name, lambda tensor, /, *args, **kwargs: segments.initialised(tensor))
    for name in SCHEDULERS:
        scheduler = getattr(torch.optim.lr_scheduler, name)
        after(scheduler, "__init__", lambda _, own, *args, **kwargs: once.schedules.made(own))
    after(DistributedSampler, "set_epoch", lambda _, own, *args, **kwargs: once.feeding.epoch_set(own))
    for owner in (torch, torch.random):
        after(owner, "manual_seed", lambda _, seed: once.seeds.torch_seeded(seed))
    after(random, "seed", lambda *args, **kwargs: once.seeds.python_seeded())
    for owner in (torch, torch.serialization):
        after(owner, "save", lambda _, obj=None, f=None, *args, **kwargs: checkpoints.saved(obj, f))
        after(owner, "load", lambda content, f=None, *args, **kwargs: checkpoints.loaded(content, f))


def followed(watch: Watch, original: Callable[..., Any], told: Callable[..., object]) -> Callable[..., Any]:
    """``told(result, *args, **kwargs)`` follows each call of ``original``."""

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if not torch.compiler.is_compiling():
            try:
                told(result, *args, **kwargs)
            except Exception as error:
                watch.probes.failed(original.__name__, error)
        return result

    wrapper.__prepare_scriptable__ = lambda: original  # type: ignore[attr-defined]
    return wrapper
