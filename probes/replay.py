"""A second pass through the model on the batch just seen, to find out which operation did it.

Nothing stays behind: random states and buffers are put back, gradients are not touched, hooks are taken away. Not
possible where a pass talks to other ranks, and not asked for where the model is compiled.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from .inputs import tensors
from .layers import Call
from .model import plain

KEY = "nnwatch.replay"
MASKS = ("masked_fill", "masked_fill_", "where", "full", "full_like", "new_full", "fill_", "triu", "tril", "tensor")
"""Operations that put infinities there on purpose (attention masks)."""


class Operation(NamedTuple):
    """Where it happened: the innermost module (dotted name, or the class of the outermost), and what torch calls it."""

    layer: str
    op: str
    detail: str


class NotRepeatableError(Exception):
    """The pass cannot be made again."""


def finite(tensor: torch.Tensor) -> bool:
    """No NaN and no infinity; waits for the device, so only where the run is already lost."""
    return bool(torch.isfinite(tensor.detach()).all())


def forward(call: Call) -> Operation | None:
    """The first operation that made a NaN or infinity out of finite numbers; None when the pass stays finite."""
    search = _Forward()
    with torch.no_grad():
        _pass(call, search)
    return search.found


def backward(call: Call) -> Operation | None:
    """The operation nearest to the loss whose own derivative is not finite there; None when there is none."""
    search = _Backward()
    with torch.no_grad():
        _pass(call, search)
    return search.found


def singular(function: Any, args: Any, kwargs: Any) -> bool:
    """Is the derivative of ``function`` at these arguments not finite, although its value is?"""
    fresh = [
        a.detach().clone().requires_grad_() if isinstance(a, torch.Tensor) and a.is_floating_point() else a
        for a in args
    ]
    wanted = [a for a in fresh if isinstance(a, torch.Tensor) and a.requires_grad]
    if not wanted:
        return False
    try:
        with torch.enable_grad():
            value = function(*fresh, **kwargs)
            if not isinstance(value, torch.Tensor) or not value.requires_grad or not finite(value):
                return False
            found = torch.autograd.grad(value.sum(), wanted, allow_unused=True)
    except RuntimeError:  # in place on a leaf, or not differentiable: then it is not the one either
        return False
    return not all(gradient is None or finite(gradient) for gradient in found)


class _Search(TorchFunctionMode):
    """Looks at every torch function of a pass, knowing which module runs."""

    def __init__(self) -> None:
        super().__init__()
        self.modules: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        before = self.prepare(func, args, kwargs)
        output = func(*args, **kwargs)
        if isinstance(output, torch.Tensor) and output.is_floating_point():
            self.look(func, before, output)
        return output

    def prepare(self, func: Any, args: Any, kwargs: Any) -> Any:
        """What has to be known before the call."""
        raise NotImplementedError

    def look(self, func: Any, before: Any, output: torch.Tensor) -> None:
        """``before`` is what ``prepare`` gave back."""
        raise NotImplementedError

    def at(self, func: Any, detail: str) -> Operation:
        name = getattr(func, "__name__", str(func)).strip("_")
        layer = self.modules[-1] if self.modules else ""
        return Operation(layer, {"truediv": "div", "rtruediv": "div", "rdiv": "div"}.get(name, name), detail)


class _Forward(_Search):
    """The first NaN that was made of no NaN; if infinities went in, what made the first of those."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Operation | None = None
        self._infinite: Operation | None = None
        self._done = False

    def prepare(self, func: Any, args: Any, kwargs: Any) -> tuple[bool, bool]:
        """Any NaN, any infinity among the inputs; before the call, which may overwrite them."""
        floats = [tensor for tensor in tensors([args, kwargs]) if tensor.is_floating_point()]
        return any(bool(t.isnan().any()) for t in floats), any(bool(t.isinf().any()) for t in floats)

    def look(self, func: Any, before: tuple[bool, bool], output: torch.Tensor) -> None:
        nan, infinite = before
        if self._done or nan:
            return
        if bool(output.isnan().any()):
            self._done = True
            self.found = self._infinite if infinite and self._infinite is not None else self.at(func, "made NaN")
        elif self._infinite is None and not infinite and bool(output.isinf().any()):
            operation = self.at(func, "made an infinity")
            if operation.op not in MASKS:
                self.found = self._infinite = operation


class _Backward(_Search):
    found: Operation | None = None

    def prepare(self, func: Any, args: Any, kwargs: Any) -> Any:
        return singular(func, args, kwargs)

    def look(self, func: Any, before: Any, output: torch.Tensor) -> None:
        if before:
            self.found = self.at(func, "its derivative is not finite here")


def _pass(call: Call, search: _Search) -> None:
    root = getattr(call.module, "module", call.module)  # under DDP: the model itself, which talks to nobody
    if any(isinstance(module, nn.SyncBatchNorm) for module in root.modules()) or "FSDP" in type(call.module).__name__:
        raise NotRepeatableError
    hooked = []
    try:
        for name, module in root.named_modules():
            label = plain(name) or type(root).__name__
            module._forward_pre_hooks[KEY] = lambda m, a, label=label: search.modules.append(label)
            module._forward_hooks[KEY] = lambda m, a, o: search.modules.pop() and None
            hooked.append(module)
        with _kept(root), search:
            root(*_cloned(call.args), **_cloned(call.kwargs))
    finally:
        for module in hooked:
            module._forward_pre_hooks.pop(KEY, None)
            module._forward_hooks.pop(KEY, None)


@contextmanager
def _kept(root: nn.Module) -> Iterator[None]:
    """Random states and buffers after the pass are those before it."""
    buffers = [(buffer, buffer.detach().clone()) for buffer in root.buffers()]
    own, numpys = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()):
            yield
    finally:
        random.setstate(own)
        np.random.set_state(numpys)
        for buffer, before in buffers:
            buffer.data.copy_(before)  # unseen by autograd: the user's backward may still come


def _cloned(values: Any) -> Any:
    """The same arguments for a model that may overwrite them."""
    if isinstance(values, torch.Tensor):
        return values.detach().clone()
    if type(values) in (list, tuple):
        return type(values)(_cloned(value) for value in values)
    return {key: _cloned(value) for key, value in values.items()} if type(values) is dict else values
