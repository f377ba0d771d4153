"""How often a line of the user's will run, read from the loops around it: a wrong answer is worse than none.

The source says what the loops are, the frames what their limits are worth now; none of the user's code is run.
"""

from __future__ import annotations

import ast
import linecache
import math
import os
import sys
from collections.abc import Iterator
from types import FrameType
from typing import NamedTuple

from .expressions import called, endless, length_of, value_of
from .source import Line, frames, is_own

Loop = ast.For | ast.While | ast.AsyncFor
HARMLESS = ("torch", "nnwatch", "accelerate", "tqdm", "click", "hydra", "typer", "fire", "absl", "lightning_fabric")
"""Packages that may stand between two lines of the user's without going round in loops of their own."""


class Rounds(NamedTuple):
    times: int
    said: str
    """The loops as the source says them, outermost first."""


class _UnknownError(Exception):
    """It cannot be told."""


def rounds(made: list[Line], batches: int | None) -> Rounds | None:
    """How often the line that is now running for the first time will run in all; None if that cannot be told.

    An innermost loop over a call that is not understood is taken to go over the loader read last, of ``batches``
    batches. Loops that also enclose ``made`` (where the optimizer was made) are no part of one training: folds, sweeps.
    """
    own = list(frames())
    if _in_the_hands_of_others(own):
        return None
    try:
        around = [
            (frame, loop)
            for frame in reversed(own)
            for loop in _loops(frame)
            if not any(line.path == frame.f_code.co_filename and _inside(loop, line.number) for line in made)
        ]
        times, said = _times(around, batches), ", ".join(_said(loop) for _, loop in around)
    except _UnknownError:
        return None
    return Rounds(times, said) if said and times > 0 else None


def _in_the_hands_of_others(own: list[FrameType]) -> bool:
    """Does a library that may have loops of its own stand between the user's outermost line and this one?"""
    outermost = own[-1] if own else None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame is not outermost:
        path = frame.f_code.co_filename
        _, packages, inner = path.partition("-packages" + os.sep)
        if packages and not is_own(path) and inner.split(os.sep)[0] not in HARMLESS:
            return True
        frame = frame.f_back
    return False


def _times(around: list[tuple[FrameType, Loop]], batches: int | None) -> int:
    """Runs of the innermost line in all rounds of these loops, outermost first."""
    if not around:
        return 1
    (frame, loop), inner = around[0], around[1:]
    limits = _limits(loop, frame, around)
    here = {(limit.name, limit.rounds) for limit in limits}
    if isinstance(loop, ast.For):
        length = length_of(loop.iter, frame)
        if length is None and not inner and isinstance(loop.iter, ast.Call) and not endless(loop.iter):
            length = batches
        if length is not None:
            limits.append(_Limit(loop, length, "", False))
    if not limits:
        raise _UnknownError
    rounds = [limit.rounds for limit in limits if limit.loop is loop]
    total = [limit.rounds for limit in limits if limit.loop is not loop]
    times = min(rounds) * _times(inner, batches) if rounds else None
    if total:
        whole = _whole(inner, batches, min(total))
        if any(limit.equal and limit.rounds != whole for limit in limits if limit.loop is not loop):
            raise _UnknownError  # the very number may never be met
        times = whole if times is None else min(times, whole)
    assert times is not None
    for other, each in inner:
        for limit in _limits(each, other, inner):
            over = (limit.name, limit.rounds) in here or _is_set(loop, limit.name)
            if limit.name and not over and limit.rounds < times:  # it ends the inner loop again and again
                raise _UnknownError
    return times


def _whole(inner: list[tuple[FrameType, Loop]], batches: int | None, total: int) -> int:
    """``total`` runs of the innermost line end a loop outside of ``inner``: at once if the innermost loop looks at that
    too, else when the inner loops are through."""
    frame, innermost = inner[-1]
    if any(limit.rounds == total for limit in _limits(innermost, frame, inner[-1:])):
        return total
    each = _times(inner, batches)
    return math.ceil(total / each) * each


class _Limit(NamedTuple):
    """So many rounds of ``loop``, and then it ends; ``name`` counts them where the loop does not do so itself."""

    loop: Loop
    rounds: int
    name: str
    equal: bool
    """It ends only when it comes to be looked at after so many and no more."""


def _limits(loop: Loop, frame: FrameType, around: list[tuple[FrameType, Loop]]) -> list[_Limit]:
    """What ends ``loop``: so many rounds of it, or of the innermost loop ``around`` the line. Raises where
    a condition on something that is counted is not understood."""
    innermost = around[-1][1]
    first = _target(loop, frame)
    found: list[_Limit] = []
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
                    found.append(_Limit(loop, max(0, limit - first[1]) + after, "", equal))
                continue
            for counting in (loop, innermost) if loop is not innermost else (loop,):
                step = _increment(counting, name)
                if step is None:
                    continue
                now = value_of(ast.Name(name), frame)
                if type(now) is not int or (counting is innermost and around[-1][0] is not frame):
                    raise _UnknownError
                start = now - step[0] * (step[1] < _line_in(counting, around))
                if equal and (limit <= start or (limit - start) % step[0]):
                    raise _UnknownError
                rounds = math.ceil((limit - start) / step[0])
                if not goes_on and counting is loop and line < step[1]:
                    rounds += 1  # looked at before it is counted
                    rounds -= line < _line_in(loop, around)
                elif not goes_on and counting is loop and step[1] < line < _line_in(loop, around):
                    rounds -= 1
                found.append(_Limit(counting, rounds, name, equal))
                break
            else:
                if _is_counted(name, around):
                    raise _UnknownError
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
            raise _UnknownError
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
        return expression.id in frame.f_locals or expression.id in frame.f_globals
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


def _is_set(loop: Loop, name: str) -> bool:
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


def _said(loop: Loop) -> str:
    if isinstance(loop, ast.While):
        return f"while {ast.unparse(loop.test)}"
    return f"for {ast.unparse(loop.target)} in {ast.unparse(loop.iter)}"


def _inside(loop: ast.stmt, number: int) -> bool:
    """Does the line belong to the body of the loop? One-line loops have both in one line."""
    assert isinstance(loop, Loop)
    return loop.body[0].lineno <= number <= (loop.body[-1].end_lineno or 0)


def _loops(frame: FrameType) -> list[Loop]:
    """Loops of the frame's own function around its running line, outermost first. Raises without a source."""
    if frame.f_code.co_name in ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"):
        raise _UnknownError
    path = frame.f_code.co_filename
    try:
        tree = ast.parse("".join(linecache.getlines(path, frame.f_globals)))
    except SyntaxError:
        raise _UnknownError from None
    if not tree.body:
        raise _UnknownError
    number = frame.f_lineno
    found: list[Loop] = []
    nodes: list[ast.AST] = [tree]
    while nodes:
        node = nodes.pop()
        first, last = getattr(node, "lineno", 0), getattr(node, "end_lineno", None) or 1 << 60
        if not first <= number <= last:
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and number > first:
            found.clear()  # a loop around a function's definition does not run its body
        if isinstance(node, Loop) and _inside(node, number):
            found.append(node)
        nodes.extend(ast.iter_child_nodes(node))
    return found
