"""What a model's forward pass may change besides computing, read from its code before it is run a second time.

Plain containers and objects that the code names are watched, and put back after the pass. What cannot be put back (a
global name that is assigned, a generator of random numbers, a logger, an iterator, a file) forbids the pass.
"""

from __future__ import annotations

import dis
import logging
import random
import types
from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import nn

KNOWN = frozenset(
    (
        "builtins",
        "collections",
        "copy",
        "dataclasses",
        "einops",
        "enum",
        "functools",
        "itertools",
        "math",
        "numpy",
        "operator",
        "peft",
        "timm",
        "torch",
        "torchvision",
        "transformers",
        "typing",
    )
)
"""Packages whose code is not read: their layers compute and do no more."""
_FORBIDDEN = frozenset(("breakpoint", "delattr", "eval", "exec", "input", "open", "print"))
_PLAIN = (
    *(type(None), bool, int, float, complex, str, bytes, range, slice, Enum, type, property, np.ndarray),
    *(torch.Tensor, torch.dtype, torch.device, torch.Size),
)
_RANDOM = (torch.Generator, random.Random)
DEPTH = 4
"""How far functions that call functions are followed."""


MANY = 1000
"""Things in a container that are looked at."""


class EffectsError(Exception):
    """A second pass could be felt."""


def watched(root: nn.Module) -> list[Any]:
    """Containers outside the modules that a pass through ``root`` could change. Raises EffectsError when it must not be
    made twice."""
    found: dict[int, Any] = {}
    seen: set[Any] = {id(module) for module in root.modules()}
    for module in root.modules():
        if isinstance(module, torch.jit.ScriptModule | nn.DataParallel):
            raise EffectsError(type(module).__name__)
        for name, value in vars(module).items():
            if not name.startswith("_") or not isinstance(value, dict):  # torch keeps its own there
                _state(value, found, seen, 0)
        for owner in type(module).__mro__:
            if owner.__module__.split(".")[0] in KNOWN:
                break
            if owner not in seen:
                seen.add(owner)
                for method in vars(owner).values():
                    _state(getattr(method, "__func__", method), found, seen, 0)
    return [*found.values()]


def _state(value: Any, found: dict[int, Any], seen: set[Any], depth: int) -> None:
    """Look at something that the code holds or names."""
    if isinstance(value, _PLAIN):
        return
    if isinstance(value, nn.Module):
        if id(value) not in seen:  # not in the model: its buffers would not be put back
            raise EffectsError(type(value).__name__)
    elif isinstance(value, types.FunctionType):
        if value.__module__ is None or value.__module__.split(".")[0] not in KNOWN:
            _function(value, found, seen, depth + 1)
    elif isinstance(value, types.ModuleType):
        if value.__name__.split(".")[0] not in KNOWN and value.__name__ != "random":
            raise EffectsError(value.__name__)
    elif isinstance(value, types.BuiltinFunctionType | types.MethodType | staticmethod | classmethod):
        owner = getattr(value, "__self__", None)
        if owner is not None and not isinstance(owner, types.ModuleType | type):
            _state(owner, found, seen, depth)
    elif isinstance(value, (*_RANDOM, logging.Logger, Iterator)) or _of_numpy(value):
        raise EffectsError(type(value).__name__)
    elif isinstance(value, list | dict | set | deque | tuple):
        _contents(value, found, seen, depth)
    elif type(value).__module__.split(".")[0] not in KNOWN and hasattr(value, "__dict__"):
        _contents(vars(value), found, seen, depth)


def _of_numpy(value: Any) -> bool:
    """Does it draw random numbers? Asking numpy for its classes would load them."""
    return any(kind.__module__.startswith("numpy.random") for kind in type(value).__mro__)


def _contents(value: Any, found: dict[int, Any], seen: set[Any], depth: int) -> None:
    if id(value) in found:
        return
    if len(value) > MANY or depth > DEPTH:
        raise EffectsError("too much to look through")
    if not isinstance(value, tuple):
        found[id(value)] = value
    for part in [*value.values()] if isinstance(value, dict) else [*value]:
        _state(part, found, seen, depth + 1)


def _function(function: types.FunctionType, found: dict[int, Any], seen: set[Any], depth: int) -> None:
    if function.__code__ in seen:
        return
    seen.add(function.__code__)
    if depth > DEPTH:
        raise EffectsError("a chain of calls")
    for cell in function.__closure__ or ():
        try:
            _state(cell.cell_contents, found, seen, depth)
        except ValueError:  # not filled yet
            continue
    codes = [function.__code__]
    for code in codes:
        codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
        for instruction in dis.get_instructions(code):
            if instruction.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
                raise EffectsError(f"global {instruction.argval}")
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                name = instruction.argval
                if name in function.__globals__:
                    _state(function.__globals__[name], found, seen, depth)
                elif name in _FORBIDDEN:
                    raise EffectsError(str(name))
