"""What an expression in the user's source is worth in a frame, without running any code of the user's."""

from __future__ import annotations

import ast
import math
from types import FrameType
from typing import Any

import torch
from torch.utils.data import DataLoader

from .variables import MISSING, stands_for

WRAPPERS = ("enumerate", "tqdm", "track", "reversed", "sorted", "list")
"""Calls that go over their first argument once."""


def called(call: ast.Call) -> str:
    """The name of what is called, without what it belongs to."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def endless(call: ast.Call) -> bool:
    """By its name it goes on for ever."""
    return called(call) in ("count", "repeat", "iter") or any(
        word in called(call).lower() for word in ("cycle", "infinite", "forever", "endless")
    )


def length_of(expression: ast.expr, frame: FrameType) -> int | None:
    """Rounds of a loop over ``expression``."""
    if isinstance(expression, ast.Call):
        name, arguments = called(expression), expression.args
        if any(isinstance(argument, ast.Starred) for argument in arguments):
            return None
        if name in ("range", "trange"):
            limits = [value_of(argument, frame) for argument in arguments]
            return len(range(*limits)) if limits and all(type(n) is int for n in limits) else None
        if name in WRAPPERS and arguments:
            return length_of(arguments[0], frame)
        if name == "zip" and arguments:
            known = [length_of(a, frame) for a in arguments if not (isinstance(a, ast.Call) and endless(a))]
            return min(n for n in known if n is not None) if known and None not in known else None
        if name == "product" and arguments:
            lengths = [length_of(argument, frame) for argument in arguments]
            return math.prod(n for n in lengths if n is not None) if None not in lengths else None
        if name == "islice" and len(arguments) == 2:
            stop, length = value_of(arguments[1], frame), length_of(arguments[0], frame)
            return (min(stop, length) if length is not None else stop) if type(stop) is int else None
        return None
    if isinstance(expression, ast.Tuple | ast.List):
        return None if any(isinstance(e, ast.Starred) for e in expression.elts) else len(expression.elts)
    return _size(value_of(expression, frame))


def _size(value: Any) -> int | None:
    if type(value).__name__.startswith("tqdm"):
        total = getattr(value, "__dict__", {}).get("total")
        return total if type(total) is int else None
    if isinstance(value, DataLoader):
        try:
            return len(value)
        except TypeError:  # a stream
            return None
    return len(value) if isinstance(value, list | tuple | range | dict | set) else None


def value_of(expression: ast.expr, frame: FrameType) -> Any:
    """The value of a name, an attribute, an item or arithmetic, without running any code of the user's; else None."""
    match expression:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            found = stands_for(name, frame)
            return found if found is not MISSING else None
        case ast.Attribute(value=owner, attr=name):
            return _attribute(value_of(owner, frame), name)
        case ast.Subscript(value=owner, slice=key):
            held, at = value_of(owner, frame), value_of(key, frame)
            return held.get(at) if type(held) is dict and isinstance(at, str | int) else None
        case ast.Call(func=ast.Name(id="len"), args=[argument]):
            value = value_of(argument, frame)
            return len(value) if type(value) is torch.Tensor else _size(value)
        case ast.Call(func=ast.Name(id="int"), args=[argument]):
            value = value_of(argument, frame)
            return int(value) if type(value) in (int, float) and math.isfinite(value) else None
        case ast.Call(func=ast.Name(id="min" | "max" as which), args=[_, _, *_] as arguments):
            values = [value_of(argument, frame) for argument in arguments]
            return (min if which == "min" else max)(values) if all(type(v) is int for v in values) else None
        case ast.BinOp(left=left, op=operator, right=right):
            a, b = value_of(left, frame), value_of(right, frame)
            if type(a) is not int or type(b) is not int:
                return None
            match operator:
                case ast.Add():
                    return a + b
                case ast.Sub():
                    return a - b
                case ast.Mult():
                    return a * b
                case ast.FloorDiv():
                    return a // b if b else None
    return None


def _attribute(owner: Any, name: str) -> Any:
    """Of an object's own dictionary, or of those of its classes where it is a plain number."""
    own = getattr(owner, "__dict__", {})
    if name in own:
        return own[name]
    kinds = owner.__mro__ if isinstance(owner, type) else type(owner).__mro__
    found = next((vars(kind)[name] for kind in kinds if name in vars(kind)), None)
    return found if type(found) in (int, float) else None
