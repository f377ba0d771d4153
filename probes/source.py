"""What the user's source says: which line does what, and how many rounds its loops go."""

from __future__ import annotations

import ast
import linecache
import os
import sys
import sysconfig
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader

_OTHERS = tuple(
    {
        os.path.dirname(os.path.dirname(os.path.abspath(torch.__file__))) + os.sep,
        os.path.dirname(os.path.realpath(__file__)) + os.sep,
        os.path.dirname(os.path.abspath(__file__)) + os.sep,
        sysconfig.get_path("stdlib") + os.sep,
        "<frozen",
    }
)


class Line(NamedTuple):
    """A place in the user's own source."""

    path: str
    number: int

    def __str__(self) -> str:
        return f"{os.path.basename(self.path)}:{self.number}"


def frames() -> Iterator[FrameType]:
    """The user's own frames on the stack, innermost first: no library, nothing of ours."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_OTHERS):
            yield frame
        frame = frame.f_back


def lines() -> list[Line]:
    """Where the user's own code stands, innermost first."""
    return [line_of(frame) for frame in frames()]


def line_of(frame: FrameType) -> Line:
    """The line that is running in it."""
    return Line(frame.f_code.co_filename, frame.f_lineno)


class Rounds(NamedTuple):
    """The loops around a line: how often it will run, and whether one of them goes over a DataLoader."""

    times: int
    said: str
    """The loops as the source says them, outermost first."""
    loader: bool


def rounds(made: list[Line], batches: int | None) -> Rounds | None:
    """How often the line that is now running in the user's code will run, read from the loops around it.

    An innermost loop over a call that is not understood is taken to go over the loader read
    last, of ``batches`` batches.
    Loops that also enclose ``made`` (where the optimizer was made) are not part of one training: folds, sweeps.
    None when a loop's length cannot be known (``while``, an iterator without length).
    """
    around = [
        (frame, loop)
        for frame in reversed(list(frames()))
        for loop in _loops(frame)
        if not any(line.path == frame.f_code.co_filename and _inside(loop, line.number) for line in made)
    ]
    count, said, loader = 1, [], False
    for place, (frame, loop) in enumerate(around):
        if not isinstance(loop, ast.For):
            return None
        length = _length(loop.iter, frame)
        if length is None and place == len(around) - 1 and _calls(loop.iter) and batches is not None:
            length = batches, True
        if length is None:
            return None
        count *= length[0]
        loader = loader or length[1]
        said.append(f"for {ast.unparse(loop.target)} in {ast.unparse(loop.iter)}")
    return Rounds(count, ", ".join(said), loader) if said else None


def _inside(loop: ast.stmt, number: int) -> bool:
    return loop.lineno < number <= (loop.end_lineno or loop.lineno)


def _loops(frame: FrameType) -> list[ast.For | ast.While | ast.AsyncFor]:
    """Loops of the frame's own function around its running line, outermost first."""
    path = frame.f_code.co_filename
    try:
        tree = ast.parse("".join(linecache.getlines(path, frame.f_globals)))
    except SyntaxError:
        return []
    number = frame.f_lineno
    found: list[ast.For | ast.While | ast.AsyncFor] = []
    nodes: list[ast.AST] = [tree]
    while nodes:
        node = nodes.pop()
        first, last = getattr(node, "lineno", 0), getattr(node, "end_lineno", None) or 1 << 60
        if not first <= number <= last:
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and number > first:
            found.clear()  # a loop around a function's definition does not run its body
        if isinstance(node, ast.For | ast.While | ast.AsyncFor) and _inside(node, number):
            found.append(node)
        nodes.extend(ast.iter_child_nodes(node))
    return found


def _length(expression: ast.expr, frame: FrameType) -> tuple[int, bool] | None:
    """Rounds of a loop over ``expression``, and whether that is a DataLoader."""
    if isinstance(expression, ast.Call):
        name = (
            expression.func.attr if isinstance(expression.func, ast.Attribute) else getattr(expression.func, "id", "")
        )
        if name in ("range", "trange"):
            limits = [_value(argument, frame) for argument in expression.args]
            return (len(range(*limits)), False) if limits and all(isinstance(n, int) for n in limits) else None
        if name in ("enumerate", "tqdm", "track", "zip") and expression.args:
            return _length(expression.args[0], frame)
        return None
    if isinstance(expression, ast.Tuple | ast.List):
        starred = any(isinstance(element, ast.Starred) for element in expression.elts)
        return (len(expression.elts), False) if not starred else None
    value = _value(expression, frame)
    if isinstance(value, DataLoader):
        return _size(value)
    return (len(value), False) if isinstance(value, list | tuple | range) else None


def _size(loader: DataLoader[Any]) -> tuple[int, bool] | None:
    try:
        return len(loader), True
    except TypeError:  # a stream
        return None


def _calls(expression: ast.expr) -> bool:
    return any(isinstance(node, ast.Call) for node in ast.walk(expression))


def _value(expression: ast.expr, frame: FrameType) -> Any:
    """The value of a name, an attribute, an item or arithmetic, without running any code of the user's."""
    match expression:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return frame.f_locals.get(name, frame.f_globals.get(name))
        case ast.Attribute(value=owner, attr=name):
            return getattr(_value(owner, frame), "__dict__", {}).get(name)
        case ast.Subscript(value=owner, slice=key):
            held, at = _value(owner, frame), _value(key, frame)
            return held.get(at) if type(held) is dict and isinstance(at, str | int) else None
        case ast.Call(func=ast.Name(id="len"), args=[argument]):
            value = _value(argument, frame)
            return len(value) if isinstance(value, list | tuple | range | torch.Tensor | DataLoader) else None
        case ast.BinOp(left=left, op=operator, right=right):
            a, b = _value(left, frame), _value(right, frame)
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
