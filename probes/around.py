"""Patches on what happens around the steps: what is made, loaded, read, copied, seeded. They only look on."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch
from torch.utils import checkpoint as checkpointing
from torch.utils.data import dataloader
from torch.utils.data.distributed import DistributedSampler

from .passes import in_c
from .stages import NEXT
from .standby import KEY, Standby

INITIALISERS = (
    "uniform_", "normal_", "trunc_normal_", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_",
    "orthogonal_",
)  # fmt: skip
"""Names in torch.nn.init that fill weights; reset_parameters() of the modules of torch.nn calls one of them."""

SCHEDULERS = ("LRScheduler", "ReduceLROnPlateau", "SequentialLR", "ChainedScheduler")
"""The base class, and those that do not call the constructor they inherit."""

Function = Callable[..., Any]
_compiling = torch.compiler.is_compiling


def put(wrap: Callable[..., None], put: Callable[[Any, str, Any], None], standby: Standby) -> None:
    """``wrap(owner, name, patch, *other owners)`` and ``put(owner, name, made)`` replace an attribute until the watch
    is taken off."""

    def follow(owner: Any, name: str, told: Callable[..., object]) -> None:
        put(owner, name, after(standby, getattr(owner, name), told))

    module, optimizer = torch.nn.Module, torch.optim.Optimizer
    for name in ("__init__", "__setstate__"):
        follow(module, name, lambda _, own, *args, **kwargs: standby.watch.module_made(own))
    follow(optimizer, "__init__", lambda _, own, *args, **kwargs: standby.watch.optimizer_made(own))
    follow(module, "load_state_dict", lambda left, own, *args, **kw: standby.watch.segments.weights_loaded(own, left))
    follow(optimizer, "load_state_dict", lambda _, own, *args, **kwargs: standby.watch.segments.optimizer_loaded(own))
    for name in INITIALISERS:
        follow(torch.nn.init, name, lambda tensor, /, *args, **kwargs: standby.watch.segments.initialised(tensor))
    for name in SCHEDULERS:
        scheduler = getattr(torch.optim.lr_scheduler, name)
        follow(scheduler, "__init__", lambda _, own, *args, **kwargs: standby.watch.once.schedules.made(own))
    follow(dataloader.DataLoader, "__init__", lambda _, own, *args, **kw: standby.watch.once.feeding.made(own))
    follow(DistributedSampler, "set_epoch", lambda _, own, *args, **kwargs: standby.watch.once.feeding.epoch_set(own))
    for owner in (torch, torch.random):
        follow(owner, "manual_seed", lambda _, seed: standby.seeds.torch_seeded(seed))
    follow(random, "seed", lambda *args, **kwargs: standby.seeds.python_seeded())
    for owner in (torch, torch.serialization):
        follow(owner, "save", lambda _, obj=None, f=None, *args, **kwargs: standby.watch.checkpoints.saved(obj, f))
        follow(owner, "load", lambda content, f=None, *args, **kwargs: standby.watch.checkpoints.loaded(content, f))
    wrap(torch, "compile", functools.partial(_before, told=_compiles))
    wrap(module, "eval", _eval)
    wrap(torch.jit, "trace", functools.partial(_before, told=_exports))
    wrap(torch.jit, "script", _scripting)
    wrap(module, "__reduce_ex__", _reduce)
    wrap(checkpointing, "checkpoint", _checkpoint)
    wrap(dataloader.DataLoader, "__iter__", _iter)
    wrap(dataloader._BaseDataLoaderIter, "__next__", _next)


def after(standby: Standby, original: Function, told: Callable[..., object]) -> Function:
    """``told(result, *args, **kwargs)`` follows each call of ``original``."""

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if not _compiling():
            try:
                told(result, *args, **kwargs)
            except Exception as error:
                standby.probes.failed(original.__qualname__, error)
        return result

    wrapper.__prepare_scriptable__ = lambda: original  # type: ignore[attr-defined]
    return wrapper


def _before(standby: Standby, original: Function, told: Callable[[Standby], None]) -> Function:
    """``told(standby)`` goes before each call of ``original``."""

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        _tell(standby, told)
        return original(*args, **kwargs)

    return wrapper


def _tell(standby: Standby, told: Callable[[Standby], None]) -> None:
    try:
        told(standby)
    except Exception as error:
        standby.probes.failed("hooks", error)


def _compiles(standby: Standby) -> None:
    standby.watch.compiling()


# of no interest before there is a watch


def _exports(standby: Standby) -> None:
    watch = standby.made
    if watch is not None:
        watch.exporting()


def _eval(standby: Standby, original: Function) -> Function:
    @functools.wraps(original)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        _tell(standby, functools.partial(_evaluates, module=self))
        return original(self, *args, **kwargs)

    return wrapper


def _evaluates(standby: Standby, module: Any) -> None:
    watch = standby.made
    if watch is not None:
        watch.once.evaluated(module)
        watch.evaluation_begins(module)


def _copies(standby: Standby) -> None:
    watch = standby.made
    if watch is not None:
        watch.layers_off()


def divergence(standby: Standby, original: Function) -> Function:
    @functools.wraps(original)
    def kl_divergence(p: Any, q: Any) -> Any:
        watch = standby.made
        return original(p, q) if watch is None else watch.distributions.divergence(original, p, q)

    return kl_divergence


def _scripting(standby: Standby, original: Function) -> Function:
    """torch.jit.script compiles a module's hooks, and looks names up in its caller's frame: one further out now."""

    @functools.wraps(original)
    def script(obj: Any, optimize: Any = None, _frames_up: int = 0, *args: Any, **kwargs: Any) -> Any:
        _tell(standby, _exports)
        return original(obj, optimize, _frames_up + 1, *args, **kwargs)

    return script


def _reduce(standby: Standby, original: Function) -> Function:
    def __reduce_ex__(self: Any, protocol: Any) -> Any:  # noqa: N807
        """Pickling or copying a module: no hook of ours may go along."""
        _tell(standby, _copies)
        for hooks in ("_forward_hooks", "_forward_pre_hooks"):  # also if that has failed
            vars(self).get(hooks, {}).pop(KEY, None)
        return original(self, protocol)

    return __reduce_ex__


def _checkpoint(standby: Standby, original: Function) -> Function:
    @functools.wraps(original)
    def checkpoint(function: Any, *args: Any, **kwargs: Any) -> Any:
        if not _compiling():
            try:
                if kwargs.get("use_reentrant") is not False and torch.is_grad_enabled():
                    standby.watch.script.checkpointed(function, args)
            except Exception as error:
                standby.probes.failed("checkpoint", error)
        return original(function, *args, **kwargs)

    return checkpoint


def _iter(standby: Standby, original: Function) -> Function:
    @functools.wraps(original)
    def __iter__(self: Any) -> Any:  # noqa: N807
        iterator = original(self)
        try:
            standby.watch.loaders.began(self, iterator)
            standby.watch.once.feeding.began(self)
        except Exception as error:
            standby.probes.failed("loader", error)
        return iterator

    return __iter__


def _next(standby: Standby, original: Function) -> Function:
    lane = standby.lane

    def told(iterator: Any, *_: Any) -> None:
        if lane.iterator is None or lane.iterator() is not iterator:
            standby.watch.pass_begins(iterator)
        elif lane.fresh:
            lane.leave()
            standby.watch.loaders.ahead += 1

    def over(*_: Any) -> None:
        if standby.made is not None:
            standby.made.layers.written.end()
        if not lane.fresh and not standby.watch.loaders.ahead:  # nobody needs what was trained on any more
            lane.batch = None

    def failed(error: Exception, _: Any) -> None:
        standby.probes.failed("loader", error)

    @functools.wraps(original)
    def __next__(self: Any) -> Any:  # noqa: N807
        began = perf_counter()
        try:
            batch = original(self)
        except StopIteration:
            try:
                over()
            except Exception as error:
                failed(error, self)
            raise
        came = perf_counter()
        try:
            told(self)
            lane.batch = batch
            lane.fresh = True
            lane.wait += came - began
            if lane.timed:
                lane.spent += perf_counter() - came
        except Exception as error:
            failed(error, self)
        return batch

    return in_c(lane.patch(NEXT, "", original, told, over, failed), original) or __next__
