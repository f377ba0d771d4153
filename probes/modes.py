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
        self._modules: list[weakref.ref[nn.Module]] = []
        self._calls: dict[bool, list[bool]] = {False: [], True: []}
        self._evaluating = False
        self.functional = False
        self.watchers: dict[Any, Watcher] = dict.fromkeys(DROPOUTS, self._dropout)

    def adopt(self, model: Model) -> None:
        self._modules = [weakref.ref(m) for root in model.roots for m in root.modules() if isinstance(m, KINDS)]

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
        modules = [module for ref in self._modules if (module := ref()) is not None and getattr(module, "p", None) != 0]
        flags = [module.training for module in modules] + self._calls[evaluating]
        return sum(flags) / len(flags) if flags else None
