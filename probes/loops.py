"""The loops around a line of the user's, as its source says."""

from __future__ import annotations

import ast
import linecache
from types import FrameType

Loop = ast.For | ast.While | ast.AsyncFor


class UnknownError(Exception):
    """It cannot be told."""


def loops_of(frame: FrameType) -> list[Loop]:
    """Loops of the frame's own function around its running line, outermost first. Raises without a source."""
    if frame.f_code.co_name in ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"):
        raise UnknownError
    path = frame.f_code.co_filename
    try:
        tree = ast.parse("".join(linecache.getlines(path, frame.f_globals)))
    except SyntaxError:
        raise UnknownError from None
    if not tree.body:
        raise UnknownError
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
        if isinstance(node, Loop) and inside(node, number):
            found.append(node)
        nodes.extend(ast.iter_child_nodes(node))
    return found


def inside(loop: ast.stmt, number: int) -> bool:
    """Does the line belong to the body of the loop? One-line loops have both in one line."""
    assert isinstance(loop, Loop)
    return loop.body[0].lineno <= number <= (loop.body[-1].end_lineno or 0)


def said_of(loop: Loop) -> str:
    if isinstance(loop, ast.While):
        return f"while {ast.unparse(loop.test)}"
    return f"for {ast.unparse(loop.target)} in {ast.unparse(loop.iter)}"
