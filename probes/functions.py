"""Functions of torch called by name, which no module hook sees: F.relu(x), x.tanh(), F.dropout(x)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import FrameType, MethodType
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode, _get_current_function_mode

from .native import native
from .variables import variables

ACTIVATIONS: dict[Any, tuple[str, type[nn.Module]]] = {
    F.relu: ("relu", nn.ReLU),
    torch.relu: ("relu", nn.ReLU),
    torch.relu_: ("relu", nn.ReLU),
    torch.Tensor.relu: ("relu", nn.ReLU),
    torch.Tensor.relu_: ("relu", nn.ReLU),
    F.relu6: ("relu6", nn.ReLU6),
    torch.tanh: ("tanh", nn.Tanh),
    torch.Tensor.tanh: ("tanh", nn.Tanh),
    F.tanh: ("tanh", nn.Tanh),
    torch.sigmoid: ("sigmoid", nn.Sigmoid),
    torch.Tensor.sigmoid: ("sigmoid", nn.Sigmoid),
    F.sigmoid: ("sigmoid", nn.Sigmoid),
    F.gelu: ("gelu", nn.GELU),
    F.silu: ("silu", nn.SiLU),
    F.leaky_relu: ("leaky_relu", nn.LeakyReLU),
}
DROPOUTS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout, torch.dropout)

Watcher = Callable[[Any, tuple[Any, ...], dict[str, Any], Any], None]
"""Gets function, args, kwargs and what it gave back."""


class Functions(TorchFunctionMode):
    """Sees every torch function while it is entered; ``failed(error)`` takes the errors of the watchers.

    A warning that torch gives in C++ names the innermost line of Python. Without the extension that is one of ours,
    where a pass is seen by this mode: on sampled steps of models that call activations as functions, and on thorough
    ones."""

    def __init__(self, watchers: Mapping[Any, Watcher], failed: Callable[[Exception], None]) -> None:
        super().__init__()
        self.watchers = watchers
        self._failed = failed
        if native is not None:  # without a frame, to which a warning of torch's own would be ascribed
            self.__torch_function__ = MethodType(native.seen, self)  # type: ignore[method-assign]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if func in self.watchers:
            self.see(func, args, kwargs, output)
        return output

    def see(self, func: Any, args: Any, kwargs: Any, output: Any) -> None:
        """A function that is watched has given ``output``."""
        if any(hasattr(part, "to_local") for part in (*args, output)):  # a collective each
            return
        try:
            with torch._C.DisableTorchFunction():  # our own operations need not pass through our own mode
                self.watchers[func](func, args, kwargs, output)
        except Exception as error:
            self._failed(error)

    def leave(self) -> None:
        """Exit, if the user has not left modes of his own above it."""
        if _get_current_function_mode() is self:
            self.__exit__(None, None, None)
        vars(self).pop("__torch_function__", None)  # it holds this object


def calling_module() -> nn.Module | None:
    """The module whose forward is calling the function that is being watched, told by the name ``self``."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        owner = variables(frame).get("self") if "self" in (*code.co_varnames, *code.co_freevars) else None
        if isinstance(owner, nn.Module):
            return owner
        frame = frame.f_back
    return None
