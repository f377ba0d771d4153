"""Activations that are functions which modules hold (``self.activation = F.relu``, as torch's transformer layers do).

A mode of torch functions sees them, but costs 10 us for each function of a pass. In a routine sample something else
is put in their place, for the time of a pass, as the hooks are.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterable
from types import BuiltinFunctionType, FunctionType
from typing import Any, NamedTuple

from torch import nn

from .functions import ACTIVATIONS


class Carrier(NamedTuple):
    """A module that holds ``function`` as ``name``."""

    module: weakref.ref[nn.Module]
    name: str
    function: Callable[..., Any]


def carried(module: nn.Module) -> list[Carrier]:
    return [
        Carrier(weakref.ref(module), name, value)
        for name, value in vars(module).items()
        if type(value) in (FunctionType, BuiltinFunctionType) and value in ACTIVATIONS
    ]


class Swapped:
    """``hook(module, args, output)`` follows each call of a carried function, between ``begin`` and ``end``."""

    def __init__(self, carriers: Iterable[Carrier], hook: Callable[..., object]) -> None:
        self._carriers = [
            (carrier, functools.partial(_call, carrier.function, hook))  # made once: a pass only puts them in place
            for carrier in carriers
        ]

    def begin(self) -> None:
        for carrier, watched in self._carriers:
            self._put(carrier, carrier.function, watched)

    def end(self) -> None:
        for carrier, watched in self._carriers:
            self._put(carrier, watched, carrier.function)

    def _put(self, carrier: Carrier, there: Any, instead: Any) -> None:
        module = carrier.module()
        if module is not None and vars(module).get(carrier.name) is there:  # else the user has put another one there
            vars(module)[carrier.name] = instead


def _call(function: Callable[..., Any], hook: Callable[..., object], *args: Any, **kwargs: Any) -> Any:
    output = function(*args, **kwargs)
    hook(None, args, output)
    return output
