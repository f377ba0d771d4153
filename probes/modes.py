"""Are dropout and BatchNorm in training mode?"""

from __future__ import annotations

import weakref
from typing import Any

from torch import nn

from .functions import DROPOUTS, Watcher, calling_module
from .model import Model

KINDS = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._BatchNorm)
FUNCTIONAL = 64
"""Calls of a functional dropout remembered in one pass."""


class Modes:
    """``functional`` is true once a pass has called a dropout that is no module."""

    def __init__(self) -> None:
        self._modules: list[list[weakref.ref[nn.Module]]] = []
        self._roots: dict[int, int] = {}
        self._called: set[int] = set()
        self._calls: dict[bool, list[bool]] = {False: [], True: []}
        self._evaluating = False
        self.functional = False
        self.watchers: dict[Any, Watcher] = dict.fromkeys(DROPOUTS, self._dropout)

    def adopt(self, model: Model) -> None:
        roots = [list(root.modules()) for root in model.roots]
        self._modules = [[weakref.ref(module) for module in root if isinstance(module, KINDS)] for root in roots]
        self._roots = {id(module): number for number, root in enumerate(roots) for module in root}
        self._called.clear()

    def called(self, module: nn.Module) -> None:
        """A pass goes through it: of several models that have an optimizer each, one may never be called."""
        self._called.add(self._roots.get(id(module), -1))

    def begin(self, evaluating: bool) -> None:
        """A pass begins, of training or not."""
        self._evaluating = evaluating
        self._calls[evaluating].clear()

    def _dropout(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        calls = self._calls[self._evaluating]
        if len(calls) < FUNCTIONAL and not isinstance(calling_module(), KINDS):
            self.functional = True
            if kwargs.get("p", args[1] if len(args) > 1 else 0.5):
                calls.append(bool(kwargs.get("training", args[2] if len(args) > 2 else True)))

    def share(self, evaluating: bool) -> float | None:
        """Share of the layers, and of the functional calls of the last such pass, that are in training mode. A dropout
        that drops nothing has no mode."""
        used = [root for number, root in enumerate(self._modules) if number in self._called] or self._modules
        kept = [module for root in used for ref in root if (module := ref()) is not None]
        modules = [module for module in kept if getattr(module, "p", None) != 0]
        flags = [module.training for module in modules] + self._calls[evaluating]
        return sum(flags) / len(flags) if flags else None
