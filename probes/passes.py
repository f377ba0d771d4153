"""Patches on what a step is made of: the loss, the backward pass, the optimizer. An ordinary step takes the lane."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from .attribution import attribute, restore
from .stages import BACKWARD, INSIDE, LOSS, STEP, STEPPING
from .standby import Standby

Function = Callable[..., Any]
_traced = torch.compiler.is_dynamo_compiling
"""By torch.compile. Cheaper to ask than what follows; what else traces gives no tensors that the lane takes."""
_tracing = torch._C._get_tracing_state
"""By torch.jit.trace, to which all that is done and named here would be part of the model."""

_wrapped = torch._C._functorch.is_functorch_wrapped_tensor
FUNCTION = ("__code__", "__closure__", "__defaults__", "__globals__", "__kwdefaults__")
"""What else a function has."""


def _compiling() -> bool:
    return torch.compiler.is_compiling() or _tracing() is not None


def loss(standby: Standby, original: Function) -> Function:
    lane, name = standby.lane, original.__name__

    def told(value: Any, args: Any, kwargs: Any) -> None:
        if not _compiling():
            standby.told(standby.watch.loss, name, original, args, kwargs, value)

    def refused(_: Any, args: Any, kwargs: Any) -> None:
        if not _compiling():
            standby.watch.refused(name, original, args, kwargs)

    def failed(error: Exception, value: Any) -> None:
        if value is None:
            standby.probes.failed("autopsy", error)
        elif isinstance(value, torch.Tensor) and not _wrapped(value):  # vmap's tensors have no value to read
            standby.probes.failed("loss", error)

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if _tracing() is not None or _traced():
            return original(*args, **kwargs)
        exchanged = attribute()
        try:
            value = original(*args, **kwargs)
        except Exception:
            try:
                refused(None, args, kwargs)
            except Exception as error:
                failed(error, None)
            raise
        finally:
            restore(exchanged)
        try:
            if not lane.loss(name, original, args, kwargs, value):
                told(value, args, kwargs)
        except Exception as error:
            failed(error, value)
        return value

    made = in_c(lane.patch(LOSS, name, original, told, refused, failed), original) or wrapper
    # torch.jit asks for this before it compiles a function: a wrapper with *args is beyond it
    made.__prepare_scriptable__ = lambda: original  # type: ignore[union-attr]
    return made


def in_c(made: Any, original: Function) -> Any:
    """Give what stands for ``original`` its attributes; None stays None. torch.compile sees ``original`` only."""
    if made is not None:
        functools.update_wrapper(made, original)
        for name in FUNCTION:
            setattr(made, name, getattr(original, name))
        made._torchdynamo_inline = original
    return made


def backward(standby: Standby, original: Function) -> Function:
    lane = standby.lane

    def told(tensors: Any, *_: Any) -> None:
        if not _compiling():
            standby.told(standby.watch.backward.begins, tensors)

    def ended(found: Any, *_: Any) -> None:
        if not _compiling():
            standby.told(standby.watch.backward.ended, found)

    def failed(error: Exception, _: Any) -> None:
        standby.probes.failed("backward", error)

    @functools.wraps(original)
    def backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        if _traced() or lane.inside_backward:  # a reentrant checkpoint calls backward inside backward
            return original(tensors, *args, **kwargs)
        lane.inside_backward = True
        try:
            try:
                if not lane.backward(tensors):
                    told(tensors)
            except Exception as error:
                failed(error, tensors)
            found = original(tensors, *args, **kwargs)
        finally:
            lane.inside_backward = False
        try:
            if lane.stage == INSIDE:
                lane.stage = STEP
            else:
                ended(found)
        except Exception as error:
            failed(error, found)
        return found

    return in_c(lane.patch(BACKWARD, "", original, told, ended, failed), original) or backward


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


def before_step(standby: Standby) -> Function:
    return _step_hook(standby, STEP, "steps", lambda: standby.watch.stepping.before)


def after_step(standby: Standby) -> Function:
    return _step_hook(standby, STEPPING, "stepped", lambda: standby.watch.stepping.after)


def _step_hook(standby: Standby, stage: int, expected: str, long: Callable[[], Function]) -> Function:
    """``expected`` is the lane's way, by name; ``long()`` the other one."""
    lane = standby.lane
    takes = getattr(lane, expected, None)  # in C it is known to the patch only

    def told(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if not _compiling():
            standby.told(long(), optimizer, _closure(args, kwargs))

    def failed(error: Exception, _: Any) -> None:
        standby.probes.failed("step", error)

    def hook(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if takes is not None and not _traced():
            try:
                if not takes(optimizer):
                    told(optimizer, args, kwargs)
            except Exception as error:
                failed(error, optimizer)

    return in_c(lane.patch(stage, "", hook, told, None, failed), hook) or hook


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
