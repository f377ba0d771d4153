"""The modules that are being trained, found without a hook: from the optimizers' parameters outwards."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator

import torch
from torch import nn

_INNER = ("module", "_orig_mod", "_fsdp_wrapped_module")
"""Names that DDP, torch.compile and FSDP give to the module they wrap."""
_WRAPPERS = tuple(name + "." for name in _INNER)


class Model:
    """Names of the optimized parameters, in the model's own order; nothing of the user's is kept alive."""

    def __init__(self, modules: Iterable[nn.Module], optimizers: Iterable[torch.optim.Optimizer]) -> None:
        optimized = {id(p): p for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]}
        found = _outermost(list(modules), set(optimized))
        self._roots = [weakref.ref(root) for root in found]
        self._parameters: list[weakref.ref[torch.Tensor]] = []
        self.names: list[str] = []
        self.notes: list[str] = []
        self.frozen: list[str] = []
        self.unoptimized: list[str] = []
        self.index: dict[int, int] = {}
        """Place of a parameter by its id()."""
        for name, parameter in self._named(found):
            if not parameter.requires_grad:
                self.frozen.append(name)
            if id(parameter) in optimized:
                self._add(name, optimized.pop(id(parameter)))
            elif parameter.requires_grad and id(parameter) not in self.index:  # else two models share it
                self.unoptimized.append(name)
        for number, parameter in enumerate(optimized.values()):
            self._add(f"parameter {number}", parameter)

    def _add(self, name: str, parameter: torch.Tensor) -> None:
        self.index[id(parameter)] = len(self.names)
        self._parameters.append(weakref.ref(parameter))
        self.names.append(name)
        self.notes.append("x".join(map(str, parameter.shape)))

    def _named(self, roots: list[nn.Module]) -> Iterator[tuple[str, torch.Tensor]]:
        for root, prefix in zip(roots, prefixes(roots), strict=True):
            for name, parameter in root.named_parameters():
                yield prefix + plain(name), parameter

    @property
    def roots(self) -> list[nn.Module]:
        """The outermost modules that are still alive."""
        return [root for ref in self._roots if (root := ref()) is not None]

    def parameters(self) -> list[torch.Tensor]:
        """The optimized parameters that are still alive, in the order of ``names`` as long as all are."""
        return [parameter for ref in self._parameters if (parameter := ref()) is not None]

    def holds(self, optimizer: torch.optim.Optimizer) -> bool:
        """Does the optimizer train a parameter of this model?"""
        alive = {id(parameter) for parameter in self.parameters()}
        return any(id(parameter) in alive for group in optimizer.param_groups for parameter in group["params"])


def plain(name: str) -> str:
    """A name in the model as the user wrote it, without what wrappers put in."""
    for wrapper in _WRAPPERS:
        name = name.removeprefix(wrapper).replace("." + wrapper, ".")
    return name


def unwrapped(module: nn.Module) -> nn.Module:
    """The user's own module inside of what torch put around it."""
    while len(module._modules) == 1 and not module._parameters:
        [(name, inner)] = module._modules.items()
        if inner is None or name not in _INNER:
            break
        module = inner
    return module


def prefixes(roots: list[nn.Module]) -> list[str]:
    """What tells the names of several models apart: nothing for one, the class (and a number) for more."""
    if len(roots) < 2:
        return [""] * len(roots)
    classes = [type(unwrapped(root)).__name__ for root in roots]
    return [
        f"{name}{classes[:place].count(name) + 1 if classes.count(name) > 1 else ''}."
        for place, name in enumerate(classes)
    ]


def _outermost(modules: list[nn.Module], optimized: set[int]) -> list[nn.Module]:
    """Modules that are in no other and hold an optimized parameter, in the order they were made. Those that hold more
    come first: a model of Keras is made after its layers, and is no parent of theirs that torch knew."""
    inner = {id(child) for module in modules for child in module._modules.values() if child is not None}
    outer = [module for module in modules if id(module) not in inner]
    held = [{id(parameter) for parameter in module.parameters()} & optimized for module in outer]
    seen: set[int] = set()
    roots = []
    for place in sorted(range(len(outer)), key=lambda place: -len(held[place])):
        if held[place] - seen:
            roots.append(place)
            seen |= held[place]
    return [outer[place] for place in sorted(roots)]
