"""The model before its first step is over, so that the first forward pass is seen too.

An optimizer that is made announces a training: until a module's forward pass with gradients on meets its parameters, or
the first backward pass, or torch.compile (which would bake the hook into a graph), one global hook is on all modules.
Once they are met it is told of each further call, until the first backward pass: what is called where.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

MOST = 1000
"""Calls of modules after which the search is given up, and as many of which are told of after it."""


class Discovery:
    """``found(module, args)`` is told of the call of the outermost module that holds a parameter that ``optimizers()``
    train, ``called(module)`` of it and of the calls that follow; ``failed(error)`` of an error."""

    def __init__(
        self,
        optimizers: Callable[[], list[torch.optim.Optimizer]],
        found: Callable[[nn.Module, Any], None],
        called: Callable[[nn.Module], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._optimizers = optimizers
        self._found = found
        self._tell = called
        self._met = False
        self._failed = failed
        self._handle: Any = None
        self._calls = 0

    def begin(self) -> None:
        """An optimizer has been made."""
        if self._handle is None:
            self._calls, self._met = 0, False
            self._handle = register_module_forward_pre_hook(self._called)

    def end(self) -> None:
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def _called(self, module: nn.Module, args: Any) -> None:
        try:
            if torch.compiler.is_compiling() or not (module.training and torch.is_grad_enabled()):
                return
            self._calls += 1
            if not self._met:
                self._meet(module, args)
            if self._met:
                self._tell(module)
            if self._calls >= MOST:
                self.end()
        except Exception as error:
            self.end()
            self._failed(error)

    def _meet(self, module: nn.Module, args: Any) -> None:
        """Is this the one that is searched for?"""
        trained = {id(p) for optimizer in self._optimizers() for g in optimizer.param_groups for p in g["params"]}
        if any(id(parameter) in trained for parameter in module.parameters()):
            self._calls, self._met = 0, True
            self._found(module, args)
