"""Patches on what a step is made of: the loss, the backward pass, the optimizer. An ordinary step takes the lane."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from .lane import INSIDE, STEP
from .standby import Standby

Function = Callable[..., Any]
_traced = torch.compiler.is_dynamo_compiling
"""By torch.compile. Cheaper to ask than what follows; what else traces gives no tensors that the lane takes."""
_compiling = torch.compiler.is_compiling
_wrapped = torch._C._functorch.is_functorch_wrapped_tensor


def loss(standby: Standby, original: Function) -> Function:
    lane, name = standby.lane, original.__name__

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            value = original(*args, **kwargs)
        except Exception:
            _refused(standby, name, original, args, kwargs)
            raise
        if not _traced():
            try:
                if not lane.loss(name, original, args, kwargs, value) and not _compiling():
                    standby.told(standby.watch.loss, name, original, args, kwargs, value)
            except Exception as error:
                if isinstance(value, torch.Tensor) and not _wrapped(value):  # vmap's tensors have no value to read
                    standby.probes.failed("loss", error)
        return value

    # torch.jit asks for this before it compiles a function: a wrapper with *args is beyond it
    wrapper.__prepare_scriptable__ = lambda: original  # type: ignore[attr-defined]
    return wrapper


def _refused(standby: Standby, name: str, original: Any, args: Any, kwargs: Any) -> None:
    if not _compiling():
        try:
            standby.watch.refused(name, original, args, kwargs)
        except Exception as error:
            standby.probes.failed("autopsy", error)


def backward(standby: Standby, original: Function) -> Function:
    lane, probes = standby.lane, standby.probes

    @functools.wraps(original)
    def backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        if _traced() or lane.inside_backward:  # a reentrant checkpoint calls backward inside backward
            return original(tensors, *args, **kwargs)
        lane.inside_backward = True
        try:
            try:
                if not lane.backward(tensors) and not _compiling():
                    standby.told(standby.watch.backward.begins, tensors)
            except Exception as error:
                probes.failed("backward", error)
            found = original(tensors, *args, **kwargs)
        finally:
            lane.inside_backward = False
        try:
            if lane.stage == INSIDE:
                lane.stage = STEP
            elif not _compiling():
                standby.told(standby.watch.backward.ended, found)
        except Exception as error:
            probes.failed("backward", error)
        return found

    return backward


def grad(standby: Standby, original: Function) -> Function:
    """torch.autograd.grad of a loss is a backward pass. Not of interest: a gradient that is part of a loss itself
    (``create_graph``), or is asked for before the backward pass (``retain_graph``), or not for what is trained."""
    watched = backward(standby, original)

    def trains(outputs: Any, inputs: Any) -> bool:
        try:
            return standby.watch.backward.trains(outputs, inputs)
        except Exception as error:
            standby.probes.failed("backward", error)
            return False

    @functools.wraps(original)
    def grad(
        outputs: Any, inputs: Any, grad_outputs: Any = None, retain_graph: Any = None, create_graph: bool = False,
        *args: Any, **kwargs: Any,
    ) -> Any:  # fmt: skip
        plain = not (_compiling() or retain_graph or create_graph) and grad_outputs is None
        way = watched if plain and trains(outputs, inputs) else original
        return way(outputs, inputs, grad_outputs, retain_graph, create_graph, *args, **kwargs)

    return grad


def transform(standby: Standby, original: Function) -> Function:
    """torch.func.grad and grad_and_value: a backward pass that autograd's own entry never sees."""

    @functools.wraps(original)
    def grad_and_value_impl(*args: Any, **kwargs: Any) -> Any:
        found = original(*args, **kwargs)
        if not _compiling():
            try:
                value = found[1][0] if isinstance(found[1], tuple) else found[1]
                standby.watch.backward.transformed(found[0], value)
            except Exception as error:
                standby.probes.failed("backward", error)
        return found

    return grad_and_value_impl


def before_step(standby: Standby) -> Callable[..., None]:
    expected = standby.lane.steps

    def hook(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if not _traced():
            try:
                if not expected(optimizer) and not _compiling():
                    standby.told(standby.watch.stepping.before, optimizer, _closure(args, kwargs))
            except Exception as error:
                standby.probes.failed("step", error)

    return hook


def after_step(standby: Standby) -> Callable[..., None]:
    expected = standby.lane.stepped

    def hook(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if not _traced():
            try:
                if not expected(optimizer) and not _compiling():
                    standby.told(standby.watch.stepping.after, optimizer, _closure(args, kwargs))
            except Exception as error:
                standby.probes.failed("step", error)

    return hook


def _closure(args: Any, kwargs: Any) -> bool:
    return (args[1] if len(args) > 1 else kwargs.get("closure")) is not None


def clip(standby: Standby, original: Function) -> Function:
    @functools.wraps(original)
    def clip_grad_norm_(parameters: Any, max_norm: float, norm_type: float = 2.0, *args: Any, **kwargs: Any) -> Any:
        if _compiling():
            return original(parameters, max_norm, norm_type, *args, **kwargs)
        try:
            standby.watch.stepping.before_clip()
        except Exception as error:
            standby.probes.failed("clip", error)
        norm = original(parameters, max_norm, norm_type, *args, **kwargs)
        try:
            if norm_type == 2.0:
                standby.watch.stepping.clipped(norm, float(max_norm))
        except Exception as error:
            standby.probes.failed("clip", error)
        return norm

    clip_grad_norm_.__prepare_scriptable__ = lambda: original  # type: ignore[attr-defined]
    return clip_grad_norm_


def scale(standby: Standby, original: Function) -> Function:
    @functools.wraps(original)
    def scale(self: Any, outputs: Any) -> Any:
        try:
            standby.watch.stepping.scaled(self, outputs)
        except Exception as error:
            standby.probes.failed("amp", error)
        return original(self, outputs)

    return scale


def scaler_step(standby: Standby, original: Function) -> Function:
    @functools.wraps(original)
    def step(self: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        before = standby.made.stepping.calls if standby.made is not None else 0
        result = original(self, optimizer, *args, **kwargs)
        try:
            if standby.watch.stepping.calls == before:
                standby.watch.stepping.skipped()
        except Exception as error:
            standby.probes.failed("amp", error)
        return result

    return step
