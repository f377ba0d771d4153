"""Hooks on modules, for the time of a training pass only.

The outermost module carries a pre-hook; on a sampled step that one puts hooks on the activation layers and takes them
away when the pass is over, also when it raised. So validation, saving, copying and exporting never meet a layer hook
(some modules choose another numerical path when they see one). The dicts are written directly: 20 times cheaper than
register_forward_hook, and the only way that costs a step nothing measurable.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode, _get_current_function_mode

from .activations import KINDS, Activations
from .fetch import Fetch
from .model import Model, plain, prefixes
from .undo import Begun

KEY = "nnwatch"
FUNCTIONAL = 32
"""Functional activations told apart in one pass."""
FUNCTIONS: dict[Any, tuple[str, type[nn.Module]]] = {
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


class Call(NamedTuple):
    """The last call of the outermost module in training; its arguments live until the step is over."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    begun: Begun | None


class _Functional(TorchFunctionMode):
    """Sees F.relu(x), torch.relu(x), x.relu() and their like, which no module hook does."""

    def __init__(self, saw: Callable[[str, type[nn.Module], torch.Tensor], None]) -> None:
        super().__init__()
        self._saw = saw

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        known = FUNCTIONS.get(func)
        if known is not None and isinstance(output, torch.Tensor):
            self._saw(*known, output)
        return output


class Layers:
    """Hooks of one model. ``failed(error)`` takes every error of ours; none reaches the user's forward pass."""

    def __init__(self, fetch: Fetch, failed: Callable[[Exception], None]) -> None:
        self._fetch = fetch
        self._failed = failed
        self.activations = Activations()
        self.call: Call | None = None
        self._roots: list[weakref.ref[nn.Module]] = []
        self._leaves: list[tuple[weakref.ref[nn.Module], str]] = []
        self._widths: set[int] = set()
        self._placed: list[nn.Module] = []
        self._hooked: list[nn.Module] = []
        self._names: dict[int, str] = {}
        self._inside: nn.Module | None = None
        self._mode: _Functional | None = None
        self._leaf = False
        self._functions = 0
        self.state = "none"
        """"none", "call" (the outermost call is noted) or "all" (its activations are measured too)."""

    def adopt(self, model: Model) -> None:
        """Find where a pass may begin and the activation layers."""
        self.remove()
        roots = model.roots
        self.activations = Activations()
        self._roots, self._leaves, self._widths = [], [], set()
        for root, prefix in zip(roots, prefixes(roots), strict=True):
            if isinstance(root, nn.DataParallel):  # its replicas run in threads
                continue
            self._roots += [weakref.ref(module) for module in _entries(root)]
            for name, module in root.named_modules():
                if isinstance(module, KINDS):
                    self._leaves.append((weakref.ref(module), prefix + plain(name)))
                elif isinstance(module, nn.Conv1d):
                    self._widths.add(module.out_channels)

    def place(self, state: str) -> None:
        """Put the hooks there that the coming step needs."""
        if state == self.state:
            return
        if state == "none" or self.state == "none":
            self.remove()
        if state != "none" and not self._placed:
            for ref in self._roots:
                root = ref()
                if root is not None:
                    root._forward_pre_hooks[KEY] = self._enter  # type: ignore[index]
                    root._forward_pre_hooks_with_kwargs[KEY] = True  # type: ignore[index]
                    self._placed.append(root)
        for root in self._placed:
            if state == "all":
                root._forward_hooks[KEY] = self._leave  # type: ignore[index]
                root._forward_hooks_always_called[KEY] = True  # type: ignore[index]
            else:
                root._forward_hooks.pop(KEY, None)  # type: ignore[call-overload]
                root._forward_hooks_always_called.pop(KEY, None)  # type: ignore[call-overload]
        self.state = state

    def remove(self) -> None:
        """No hook of ours is on any module after this."""
        if self._inside is not None:
            self._end()
        for root in self._placed:
            for hooks in (
                root._forward_pre_hooks,
                root._forward_pre_hooks_with_kwargs,
                root._forward_hooks,
                root._forward_hooks_always_called,
            ):
                hooks.pop(KEY, None)  # type: ignore[call-overload]
        self._placed.clear()
        self.state = "none"

    # a pass of a sampled step

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if torch.compiler.is_compiling():
            return
        try:
            if self._inside is None and module.training and torch.is_grad_enabled():
                self.call = Call(module, args, kwargs, Begun.now())
                if self.state == "all":
                    self._begin(module)
        except Exception as error:
            self._failed(error)

    def _begin(self, module: nn.Module) -> None:
        self._inside = module
        self.activations.begin()
        self._functions = 0
        for ref, name in self._leaves:
            leaf = ref()
            if leaf is not None:
                self._names[id(leaf)] = name
                leaf._forward_pre_hooks[KEY] = self._leaf_enters  # type: ignore[index]
                leaf._forward_hooks[KEY] = self._leaf_leaves  # type: ignore[index]
                self._hooked.append(leaf)
        if not torch.distributed.is_available() or not torch.distributed.is_initialized():
            self._mode = _Functional(self._saw)
            self._mode.__enter__()  # type: ignore[no-untyped-call]

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if self._inside is module:
            self._end()

    def _end(self) -> None:
        self._inside = None
        self._leaf = False
        for leaf in self._hooked:
            leaf._forward_pre_hooks.pop(KEY, None)  # type: ignore[call-overload]
            leaf._forward_hooks.pop(KEY, None)  # type: ignore[call-overload]
        self._hooked.clear()
        self._names.clear()
        mode, self._mode = self._mode, None
        if mode is not None and _get_current_function_mode() is mode:
            mode.__exit__(None, None, None)  # type: ignore[no-untyped-call]

    def _leaf_enters(self, module: nn.Module, args: Any) -> None:
        self._leaf = True

    def _leaf_leaves(self, module: nn.Module, args: Any, output: Any) -> None:
        self._leaf = False
        if isinstance(output, torch.Tensor):
            self._see(self._names.get(id(module), ""), type(module), output)

    def _saw(self, name: str, kind: type[nn.Module], output: torch.Tensor) -> None:
        """A functional activation; one that a module of its own calls is that module's."""
        if not self._leaf and self._functions < FUNCTIONAL:
            self._functions += 1
            self._see(f"{name}() {self._functions}", kind, output)

    def _see(self, name: str, kind: type[nn.Module], output: torch.Tensor) -> None:
        try:
            with torch._C.DisableTorchFunction():  # our own operations need not pass through our own mode
                dims = output.dim()
                channels = dims > 3 or (dims == 3 and output.shape[1] in self._widths)
                self.activations.see(name, kind, output, channels, self._fetch)
        except Exception as error:
            self._failed(error)


def _entries(root: nn.Module) -> Iterator[nn.Module]:
    """Where a pass through a model may begin: the outermost module, or, where that one's forward is not what
    is called (a LightningModule, a container of parts), the modules right under it."""
    yield root
    if not isinstance(root, nn.Sequential):
        for child in root.children():
            if any(parameter.requires_grad for parameter in child.parameters()) and any(child.children()):
                yield child
