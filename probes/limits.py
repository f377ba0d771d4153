"""What ends a loop of the user's after so many rounds: its test, a ``break``, a ``return``."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from types import FrameType
from typing import NamedTuple

from .expressions import called, value_of
from .loops import Loop, UnknownError
from .variables import MISSING, stands_for


class Limit(NamedTuple):
    """So many rounds of ``loop``, and then it ends; ``name`` counts them where the loop does not do so itself."""

    loop: Loop
    rounds: int
    name: str
    equal: bool
    """It ends only when it comes to be looked at after so many and no more."""


def limits_of(loop: Loop, frame: FrameType, around: list[tuple[FrameType, Loop]]) -> list[Limit]:
    """What ends ``loop``: so many rounds of it, or of the innermost loop ``around`` the line. Raises where
    a condition on something that is counted is not understood."""
    innermost = around[-1][1]
    first = _target(loop, frame)
    found: list[Limit] = []
    tests: list[tuple[ast.expr, int, bool]] = []
    if isinstance(loop, ast.While):
        tests.append((loop.test, 0, True))
    for test, line in _breaks(loop):
        tests.append((test, line, False))
    for test, line, goes_on in tests:
        for name, limit, equal in _compared(test, frame, goes_on):
            if first is not None and name == first[0]:
                after = line > _line_in(loop, around)
                if not equal or limit >= first[1]:
                    found.append(Limit(loop, max(0, limit - first[1]) + after, "", equal))
                continue
            for counting in (loop, innermost) if loop is not innermost else (loop,):
                step = _increment(counting, name)
                if step is None:
                    continue
                now = value_of(ast.Name(name), frame)
                if type(now) is not int or (counting is innermost and around[-1][0] is not frame):
                    raise UnknownError
                start = now - step[0] * (step[1] < _line_in(counting, around))
                if equal and (limit <= start or (limit - start) % step[0]):
                    raise UnknownError
                rounds = math.ceil((limit - start) / step[0])
                if not goes_on and counting is loop and line < step[1]:
                    rounds += 1  # looked at before it is counted
                    rounds -= line < _line_in(loop, around)
                elif not goes_on and counting is loop and step[1] < line < _line_in(loop, around):
                    rounds -= 1
                found.append(Limit(counting, rounds, name, equal))
                break
            else:
                if _is_counted(name, around):
                    raise UnknownError
    return found


def _line_in(loop: Loop, around: list[tuple[FrameType, Loop]]) -> int:
    """The line in the body of ``loop`` that runs now."""
    return next(frame.f_lineno for frame, each in around if each is loop)


def _target(loop: Loop, frame: FrameType) -> tuple[str, int] | None:
    """The name that a loop over range() or enumerate() counts with, from where on."""
    if not isinstance(loop, ast.For) or not isinstance(loop.iter, ast.Call):
        return None
    call, name = loop.iter, called(loop.iter)
    while name in ("tqdm", "track") and call.args and isinstance(call.args[0], ast.Call):
        call = call.args[0]
        name = called(call)
    if name in ("range", "trange") and isinstance(loop.target, ast.Name):
        first = value_of(call.args[0], frame) if len(call.args) == 2 else 0
    elif name == "enumerate" and isinstance(loop.target, ast.Tuple) and isinstance(loop.target.elts[0], ast.Name):
        given = call.args[1:] or [keyword.value for keyword in call.keywords if keyword.arg == "start"]
        first = value_of(given[0], frame) if given else 0
        return (loop.target.elts[0].id, first) if type(first) is int else None
    else:
        return None
    return (loop.target.id, first) if type(first) is int and len(call.args) < 3 else None


def _breaks(loop: Loop) -> Iterator[tuple[ast.expr, int]]:
    """Conditions of this loop's own ``break`` and of a ``return``, and their lines."""

    def walk(nodes: list[ast.stmt], test: ast.expr | None, own: bool) -> Iterator[tuple[ast.expr, int]]:
        for node in nodes:
            if isinstance(node, ast.If):
                yield from walk(node.body, node.test, own)
                yield from walk(node.orelse, None, own)
            elif isinstance(node, ast.For | ast.While):
                yield from walk(node.body, None, False)
            elif isinstance(node, ast.With | ast.Try):
                yield from walk(node.body, test, own)
            elif ((isinstance(node, ast.Break) and own) or isinstance(node, ast.Return)) and test is not None:
                yield test, node.lineno

    yield from walk(loop.body, None, True)


def _compared(test: ast.expr, frame: FrameType, goes_on: bool) -> Iterator[tuple[str, int, bool]]:
    """Names, the values from which on a loop ends, and whether it ends at that very value only; ``goes_on``: it goes
    on while the test holds."""
    if isinstance(test, ast.BoolOp):
        parts = test.values
        if isinstance(test.op, ast.And) and any(_is_false(part, frame) for part in parts):
            return
        for part in parts:
            yield from _compared(part, frame, goes_on)
        return
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        if any(isinstance(node, ast.Compare) for node in ast.walk(test)):
            raise UnknownError
        return
    left, operator, right = test.left, test.ops[0], test.comparators[0]
    if isinstance(right, ast.Name) and not isinstance(left, ast.Name):
        flipped = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}
        left, right, operator = right, left, flipped.get(type(operator), type(operator))()
    if isinstance(left, ast.BinOp) and isinstance(left.op, ast.Add) and isinstance(left.right, ast.Constant):
        shift, left = left.right.value, left.left  # i + 1 >= limit
    else:
        shift = 0
    limit = value_of(right, frame)
    if not isinstance(left, ast.Name) or type(limit) is not int or type(shift) is not int:
        return
    ending = (ast.Lt, ast.NotEq) if goes_on else (ast.GtE, ast.Eq)
    later = (ast.LtE,) if goes_on else (ast.Gt,)
    if isinstance(operator, ending):
        yield left.id, limit - shift, isinstance(operator, ast.Eq | ast.NotEq)
    elif isinstance(operator, later):
        yield left.id, limit - shift + 1, False


def _is_false(test: ast.expr, frame: FrameType) -> bool:
    """Is it known to fail: a limit that is None or 0?"""
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.IsNot):
        return _known(test.left, frame) and value_of(test.left, frame) is None
    return isinstance(test, ast.Name | ast.Attribute) and _known(test, frame) and not value_of(test, frame)


def _known(expression: ast.expr, frame: FrameType) -> bool:
    """Is there such a name or attribute at all? ``_value`` gives None for what is not there."""
    if isinstance(expression, ast.Name):
        return stands_for(expression.id, frame) is not MISSING
    return isinstance(expression, ast.Attribute) and expression.attr in getattr(
        value_of(expression.value, frame), "__dict__", {}
    )


def _increment(loop: Loop, name: str) -> tuple[int, int] | None:
    """By how much each round of a loop counts ``name`` up, and in which line; None where it does not, or not always."""
    for node in loop.body:
        match node:
            case ast.AugAssign(target=ast.Name(id=found), op=ast.Add(), value=ast.Constant(value=int() as step)):
                if found == name and step > 0:
                    return step, node.lineno
    return None


def is_set(loop: Loop, name: str) -> bool:
    """Does each round of the loop begin with another value of ``name``?"""
    return any(
        isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
        for node in loop.body
    )


def _is_counted(name: str, around: list[tuple[FrameType, Loop]]) -> bool:
    """Is ``name`` changed in these loops by arithmetic, or what they go over?"""
    for _, loop in around:
        for node in ast.walk(loop):
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
                return True
            if isinstance(node, ast.For) and any(
                isinstance(n, ast.Name) and n.id == name for n in ast.walk(node.target)
            ):
                return True
    return False
