"""Which operation did it: a second pass through the model, in which every torch function is looked at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from .layers import Call
from .model import plain
from .nested import tensors
from .replay import cloned, inner
from .source import frames, line_of
from .undo import undone
from .wrong import HALF, finite

KEY = "nnwatch.search"
MASKS = ("masked_fill", "masked_fill_", "where", "full", "full_like", "new_full", "fill_", "triu", "tril", "tensor")
"""Operations that put infinities there on purpose (attention masks)."""
TRAIL = 8
"""Operations before the one that was looked for whose ranges are kept."""

Range = tuple[str, str, float, float]
"""Layer, operation, smallest and largest value of what it gave."""


class Operation(NamedTuple):
    """Where it happened: the innermost module (dotted name, or the class of the outermost), and what torch calls it."""

    layer: str | None
    op: str | None
    detail: str
    overflow: bool = False
    """The same operation in float32 stays finite."""
    where: str | None = None
    """The user's line that calls it; None where it is a library's."""


class Pass(NamedTuple):
    """What a search found, the ranges of the operations up to there, and what the model gave (None if it was left)."""

    found: Operation | None
    trail: list[Range]
    output: Any


def forward(call: Call) -> Pass:
    """Look for the first operation that made a NaN or infinity out of finite numbers."""
    return _search(call, _Forward())


def backward(call: Call) -> Pass:
    """Look for the operation nearest to the loss whose own derivative is not finite there."""
    return _search(call, _Backward())


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


def finite_in_float32(function: Any, args: Any, kwargs: Any) -> bool:
    """Does ``function`` give finite numbers where its half-precision arguments are made float32?"""
    device = next((tensor.device.type for tensor in tensors([args, kwargs])), "cpu")
    with torch.no_grad(), torch.autocast(device, enabled=False):
        wide = function(*_wide(tuple(args)), **_wide(dict(kwargs)))
    return isinstance(wide, torch.Tensor) and finite(wide)


class _Search(TorchFunctionMode, ABC):
    """Looks at every torch function of a pass, knowing which module runs."""

    def __init__(self) -> None:
        super().__init__()
        self.modules: list[str] = []
        self.found: Operation | None = None
        self.done = False
        """Nothing further is looked for."""
        self.trail: deque[Range] = deque(maxlen=TRAIL)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.done:
            return func(*args, **kwargs)
        inputs = cloned([args, kwargs]) if _overwrites(func) else [args, kwargs]
        before = self.prepare(func, args, kwargs)
        output = func(*args, **kwargs)
        if isinstance(output, torch.Tensor) and output.is_floating_point():
            self.look(func, inputs, before, output)
            if not self.done and output.numel():
                low, high = output.detach().aminmax()
                self.trail.append((self._layer(), _name(func), float(low), float(high)))
        return output

    @abstractmethod
    def prepare(self, func: Any, args: Any, kwargs: Any) -> Any:
        """What has to be known before the call."""

    @abstractmethod
    def look(self, func: Any, inputs: Any, before: Any, output: torch.Tensor) -> None:
        """``inputs`` as they were before the call, ``before`` what ``prepare`` gave back."""

    def at(self, func: Any, detail: str, overflow: bool = False) -> Operation:
        frame = next(frames(), None)
        return Operation(self._layer(), _name(func), detail, overflow, str(line_of(frame)) if frame else None)

    def _layer(self) -> str:
        return self.modules[-1] if self.modules else ""


class _Forward(_Search):
    """The first NaN that was made of no NaN; if infinities went in, what made the first of those."""

    def __init__(self) -> None:
        super().__init__()
        self._infinite: Operation | None = None

    def prepare(self, func: Any, args: Any, kwargs: Any) -> tuple[bool, bool]:
        """Any NaN, any infinity among the inputs; before the call, which may overwrite them."""
        floats = [tensor for tensor in tensors([args, kwargs]) if tensor.is_floating_point()]
        return any(bool(t.isnan().any()) for t in floats), any(bool(t.isinf().any()) for t in floats)

    def look(self, func: Any, inputs: Any, before: tuple[bool, bool], output: torch.Tensor) -> None:
        nan, infinite = before
        if nan:
            return
        if bool(output.isnan().any()):
            self.done = True
            self.found = self._infinite if infinite and self._infinite is not None else self.at(func, "made NaN")
        elif self._infinite is None and not infinite and bool(output.isinf().any()) and _name(func) not in MASKS:
            self.found = self._infinite = self._infinity(func, inputs, output)

    def _infinity(self, func: Any, inputs: Any, output: torch.Tensor) -> Operation:
        if output.dtype in HALF:
            with torch.autocast(output.device.type, enabled=False):
                wide = func(*_wide(inputs[0]), **_wide(inputs[1]))
            if isinstance(wide, torch.Tensor) and finite(wide):
                kind = str(output.dtype).removeprefix("torch.")
                largest, most = float(wide.detach().abs().max()), torch.finfo(output.dtype).max
                return self.at(func, f"gave {largest:.4g}, and {kind} ends at {most:.5g}", True)
        return self.at(func, "made an infinity")


class _Backward(_Search):
    def prepare(self, func: Any, args: Any, kwargs: Any) -> Any:
        return singular(func, args, kwargs)

    def look(self, func: Any, inputs: Any, before: Any, output: torch.Tensor) -> None:
        if before:
            self.found = self.at(func, "its derivative is not finite here")


def _search(call: Call, search: _Search) -> Pass:
    root = inner(call.module)
    labels = {id(module): plain(name) or type(root).__name__ for name, module in root.named_modules()}

    def enters(module: nn.Module, args: Any) -> None:
        search.modules.append(labels.get(id(module), type(module).__name__))

    def leaves(module: nn.Module, args: Any, output: Any) -> None:
        search.modules.pop()

    with undone(root, call.begun), torch.no_grad():
        for module in root.modules():
            module._forward_pre_hooks[KEY] = enters  # type: ignore[index]
            module._forward_hooks[KEY] = leaves  # type: ignore[index]
        args, kwargs = cloned(call.args), cloned(call.kwargs)
        with search:
            output = root(*args, **kwargs)
    return Pass(search.found, list(search.trail), output)


def _name(func: Any) -> str:
    name = getattr(func, "__name__", str(func)).strip("_")
    return {"truediv": "div", "rtruediv": "div", "rdiv": "div"}.get(name, name)


def _overwrites(func: Any) -> bool:
    name = str(getattr(func, "__name__", ""))
    return (name.endswith("_") and not name.endswith("__")) or name.startswith("__i")


def _wide(values: Any) -> Any:
    """The same arguments with half precision as float32."""
    if isinstance(values, torch.Tensor):
        return values.detach().float() if values.dtype in HALF else values
    if type(values) in (list, tuple):
        return type(values)(_wide(value) for value in values)
    return {key: _wide(value) for key, value in values.items()} if type(values) is dict else values
