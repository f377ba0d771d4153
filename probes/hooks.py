"""Every patch that is put on torch, and its removal. Nothing else here touches torch's surface.

A patch calls the original, tells the watch, and gives back what the original gave; an error of ours ends in
``Probes.failed``. Under torch.compile and in functorch transforms the patches are transparent.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from torch._functorch import eager_transforms
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils import checkpoint as checkpointing
from torch.utils.data import dataloader

from . import around
from .distributions import USED
from .frameworks import Frameworks
from .lane import INSIDE, STEP
from .layers import KEY
from .loss import FUNCTIONS
from .watch import Watch

_compiling = torch.compiler.is_compiling
_wrapped = torch._C._functorch.is_functorch_wrapped_tensor
_Undo = Callable[[], object]


class Patches:
    """The patches of one watch; they stay until ``remove``."""

    def __init__(self, watch: Watch) -> None:
        self._undo: list[_Undo] = []
        self._watch = watch
        self._distributions: set[type] = set()
        self._methods: set[tuple[type, str]] = set()
        for name in FUNCTIONS:
            if hasattr(F, name):
                self._put(F, name, _loss(watch, name, getattr(F, name)))
        self._put(torch.autograd, "backward", _backward(watch, torch.autograd.backward))
        self._put(torch.autograd, "grad", _grad(watch, torch.autograd.grad))
        self._put(eager_transforms, "grad_and_value_impl", _transform(watch, eager_transforms.grad_and_value_impl))
        clip = _clip(watch, torch.nn.utils.clip_grad_norm_)
        self._put(torch.nn.utils, "clip_grad_norm_", clip)
        self._put(torch.nn.utils.clip_grad, "clip_grad_norm_", clip)
        self._put(torch, "compile", _noting(watch, torch.compile, watch.compiling))
        loader = dataloader.DataLoader
        self._put(loader, "__iter__", _iter(watch, loader.__iter__))
        iterator = dataloader._BaseDataLoaderIter
        self._put(iterator, "__next__", _next(watch, iterator.__next__))
        self._put(torch.nn.Module, "__init__", _made(watch, torch.nn.Module.__init__, watch.module_made))
        self._put(torch.nn.Module, "__setstate__", _made(watch, torch.nn.Module.__setstate__, watch.module_made))
        self._put(torch.nn.Module, "__reduce_ex__", _reduce(watch))
        self._put(torch.nn.Module, "eval", _noting(watch, torch.nn.Module.eval, watch.evaluation_begins))
        made = _made(watch, torch.optim.Optimizer.__init__, watch.optimizer_made)
        self._put(torch.optim.Optimizer, "__init__", made)
        base = torch.distributions.Distribution
        self._put(base, "__init__", _made(watch, base.__init__, self._distribution_made))
        divergence = watch.distributions.divergence(torch.distributions.kl_divergence)
        self._put(torch.distributions, "kl_divergence", divergence)
        self._put(torch.distributions.kl, "kl_divergence", divergence)
        self._put(checkpointing, "checkpoint", _checkpoint(watch, checkpointing.checkpoint))
        self._put(torch.jit, "script", _scripting(watch, torch.jit.script))
        self._put(torch.jit, "trace", _noting(watch, torch.jit.trace, watch.exporting))
        scaler = getattr(torch.amp, "GradScaler", None)
        if scaler is not None:
            self._put(scaler, "scale", _scale(watch, scaler.scale))
            self._put(scaler, "step", _scaler_step(watch, scaler.step))
        before = _optimizer(watch, watch.lane.steps, watch.stepping.before)
        after = _optimizer(watch, watch.lane.stepped, watch.stepping.after)
        self._undo.append(register_optimizer_step_pre_hook(before).remove)
        self._undo.append(register_optimizer_step_post_hook(after).remove)
        around.put(self._put, watch)
        self._undo.append(Frameworks(watch).remove)
        self._undo.append(watch.layers_off)

    def _put(self, owner: Any, name: str, patch: Any) -> None:
        own = vars(owner).get(name)
        setattr(owner, name, patch)
        self._undo.append(lambda: setattr(owner, name, own) if own is not None else delattr(owner, name))

    def _distribution_made(self, distribution: Any) -> None:
        """What a step may call of the first of its class is patched, wherever the class has it from."""
        kind = type(distribution)
        if kind not in self._distributions:
            self._distributions.add(kind)
            for name in USED:
                owner = next(cls for cls in kind.__mro__ if name in vars(cls))
                if owner is not torch.distributions.Distribution and (owner, name) not in self._methods:
                    self._methods.add((owner, name))
                    self._put(owner, name, self._watch.distributions.method(getattr(owner, name)))

    def remove(self) -> None:
        """Leave torch as it was found."""
        self._watch.discovery.end()
        while self._undo:
            self._undo.pop()()


def _loss(watch: Watch, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    lane, told = watch.lane, watch.loss

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            value = original(*args, **kwargs)
        except Exception:
            _refused(watch, name, original, args, kwargs)
            raise
        if not _compiling():
            try:
                if not lane.loss(name, original, args, kwargs, value):
                    told(name, original, args, kwargs, value)
            except Exception as error:
                if isinstance(value, torch.Tensor) and not _wrapped(value):  # vmap's tensors have no value to read
                    watch.probes.failed("loss", error)
        return value

    # torch.jit asks for this before it compiles a function: a wrapper with *args is beyond it
    wrapper.__prepare_scriptable__ = lambda: original  # type: ignore[attr-defined]
    return wrapper


def _refused(watch: Watch, name: str, original: Any, args: Any, kwargs: Any) -> None:
    if not _compiling():
        try:
            watch.refused(name, original, args, kwargs)
        except Exception as error:
            watch.probes.failed("autopsy", error)


def _backward(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    lane = watch.lane

    @functools.wraps(original)
    def backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        if _compiling() or lane.inside_backward:  # a reentrant checkpoint calls backward inside backward
            return original(tensors, *args, **kwargs)
        lane.inside_backward = True
        try:
            try:
                if not lane.backward(tensors):
                    watch.backward.begins(tensors)
            except Exception as error:
                watch.probes.failed("backward", error)
            found = original(tensors, *args, **kwargs)
        finally:
            lane.inside_backward = False
        try:
            if lane.stage == INSIDE:
                lane.stage = STEP
            else:
                watch.backward.ended()
        except Exception as error:
            watch.probes.failed("backward", error)
        return found

    return backward


def _grad(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    """torch.autograd.grad of a loss is a backward pass. Not of interest: a gradient that is part of a loss itself
    (``create_graph``), or is asked for before the backward pass (``retain_graph``), or not for what is trained."""
    watched = _backward(watch, original)

    @functools.wraps(original)
    def grad(
        outputs: Any, inputs: Any, grad_outputs: Any = None, retain_graph: Any = None, create_graph: bool = False,
        *args: Any, **kwargs: Any,
    ) -> Any:  # fmt: skip
        plain = not (_compiling() or retain_graph or create_graph) and grad_outputs is None
        way = watched if plain and watch.backward.trains(outputs, inputs) else original
        return way(outputs, inputs, grad_outputs, retain_graph, create_graph, *args, **kwargs)

    return grad


def _transform(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    """torch.func.grad and grad_and_value: a backward pass that autograd's own entry never sees."""

    @functools.wraps(original)
    def grad_and_value_impl(*args: Any, **kwargs: Any) -> Any:
        found = original(*args, **kwargs)
        if not _compiling():
            try:
                watch.backward.transformed(found[0], found[1][0] if isinstance(found[1], tuple) else found[1])
            except Exception as error:
                watch.probes.failed("backward", error)
        return found

    return grad_and_value_impl


def _optimizer(
    watch: Watch,
    expected: Callable[[torch.optim.Optimizer], bool],
    told: Callable[[torch.optim.Optimizer, bool], None],
) -> Callable[..., None]:
    def hook(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if not _compiling():
            try:
                if not expected(optimizer):
                    told(optimizer, (args[1] if len(args) > 1 else kwargs.get("closure")) is not None)
            except Exception as error:
                watch.probes.failed("step", error)

    return hook


def _clip(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def clip_grad_norm_(parameters: Any, max_norm: float, norm_type: float = 2.0, *args: Any, **kwargs: Any) -> Any:
        if _compiling():
            return original(parameters, max_norm, norm_type, *args, **kwargs)
        try:
            watch.stepping.before_clip()
        except Exception as error:
            watch.probes.failed("clip", error)
        norm = original(parameters, max_norm, norm_type, *args, **kwargs)
        try:
            if norm_type == 2.0:
                watch.stepping.clipped(norm, float(max_norm))
        except Exception as error:
            watch.probes.failed("clip", error)
        return norm

    clip_grad_norm_.__prepare_scriptable__ = lambda: original  # type: ignore[attr-defined]
    return clip_grad_norm_


def _checkpoint(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def checkpoint(function: Any, *args: Any, **kwargs: Any) -> Any:
        if not _compiling():
            try:
                if kwargs.get("use_reentrant") is not False and torch.is_grad_enabled():
                    watch.script.checkpointed(function, args)
            except Exception as error:
                watch.probes.failed("checkpoint", error)
        return original(function, *args, **kwargs)

    return checkpoint


def _scripting(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    """torch.jit.script compiles a module's hooks, and looks names up in its caller's frame: one further out now."""

    @functools.wraps(original)
    def script(obj: Any, optimize: Any = None, _frames_up: int = 0, *args: Any, **kwargs: Any) -> Any:
        _tell(watch, watch.exporting)
        return original(obj, optimize, _frames_up + 1, *args, **kwargs)

    return script


def _reduce(watch: Watch) -> Callable[..., Any]:
    def __reduce_ex__(self: Any, protocol: Any) -> Any:  # noqa: N807
        """Pickling or copying a module: no hook of ours may go along."""
        _tell(watch, watch.layers_off)
        for hooks in ("_forward_hooks", "_forward_pre_hooks"):  # also if that has failed
            vars(self).get(hooks, {}).pop(KEY, None)
        return object.__reduce_ex__(self, protocol)

    return __reduce_ex__


def _iter(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def __iter__(self: Any) -> Any:  # noqa: N807
        iterator = original(self)
        try:
            watch.loaders.began(self, iterator)
            watch.once.feeding.began(self)
        except Exception as error:
            watch.probes.failed("loader", error)
        return iterator

    return __iter__


def _next(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    lane = watch.lane

    @functools.wraps(original)
    def __next__(self: Any) -> Any:  # noqa: N807
        began = perf_counter()
        batch = original(self)
        try:
            if lane.iterator is None or lane.iterator() is not self:
                watch.pass_begins(self)
            elif lane.fresh:
                watch.loaders.ahead += 1
            lane.batch = batch
            lane.fresh = True
            lane.wait += perf_counter() - began
        except Exception as error:
            watch.probes.failed("loader", error)
        return batch

    return __next__


def _noting(watch: Watch, original: Callable[..., Any], told: Callable[[], None]) -> Callable[..., Any]:
    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        _tell(watch, told)
        return original(*args, **kwargs)

    return wrapper


def _tell(watch: Watch, told: Callable[[], None]) -> None:
    try:
        told()
    except Exception as error:
        watch.probes.failed("hooks", error)


def _made(watch: Watch, original: Callable[..., Any], told: Callable[[Any], None]) -> Callable[..., Any]:
    @functools.wraps(original)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if not _compiling():
            try:
                told(self)
            except Exception as error:
                watch.probes.failed("made", error)

    return wrapper


def _scale(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def scale(self: Any, outputs: Any) -> Any:
        try:
            watch.stepping.scaled(self, outputs)
        except Exception as error:
            watch.probes.failed("amp", error)
        return original(self, outputs)

    return scale


def _scaler_step(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def step(self: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        before = watch.stepping.calls
        result = original(self, optimizer, *args, **kwargs)
        try:
            if watch.stepping.calls == before:
                watch.stepping.skipped()
        except Exception as error:
            watch.probes.failed("amp", error)
        return result

    return step
