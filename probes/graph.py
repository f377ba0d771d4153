"""Reading autograd's graph: which operation stood at a pole, which one can have spoiled these gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import Any, NamedTuple

import torch

NODES = 20000
"""Nodes looked at, at most."""
SUSPECTS = {
    "Sqrt": "the derivative of sqrt is infinite at 0",
    "Log": "the derivative of log is infinite at 0",
    "Pow": "the derivative of a power below 1 is infinite at 0",
    "Std": "the derivative of a standard deviation of 0 is not a number",
    "Acos": "the derivative of acos is infinite at -1 and 1",
    "Asin": "the derivative of asin is infinite at -1 and 1",
}
"""Operations, by the name of their node, that can be finite forward and not backward."""


def nodes(root: Any) -> list[Any]:
    """The graph below ``root``: operations from the latest to the earliest, then the leaves."""
    seen, queue = {root}, [root]
    for node in queue:
        for below, _ in node.next_functions:
            if below is not None and below not in seen and len(seen) < NODES:
                seen.add(below)
                queue.append(below)
    return sorted(queue, key=lambda node: 1 if hasattr(node, "variable") else -node._sequence_nr())


def operation(node: Any) -> str:
    """``"Sqrt"`` for a SqrtBackward0."""
    return str(type(node).__name__).rstrip("0123456789").removesuffix("Backward")


def saved(node: Any, name: str) -> Any:
    """What an operation keeps for the backward pass: ``"self"``, ``"result"`` ... None where it keeps no such thing, or
    hooks keep it (activation checkpoints, ``save_on_cpu``), or torch is too old to say: to read it would run the hooks,
    a whole forward pass it may be. Raises RuntimeError where it was freed."""
    raw = getattr(node, f"_raw_saved_{name}", None)
    parts = raw if isinstance(raw, tuple) else (raw,)
    if any(getattr(part, "unpack_hook", _UNTOLD) is not None for part in parts):
        return None
    return getattr(node, f"_saved_{name}")


_UNTOLD = object()


class Pole(NamedTuple):
    """An operation, how it stood at a pole, and in which rows of what it was given (none where it has no rows)."""

    op: str
    detail: str
    rows: list[int]


def pole(root: Any) -> Pole | None:
    """The first operation that stood at a pole by what autograd saved for it: log 0, x / 0, a mean of nothing.

    Only before backward(), which frees what was saved.
    """
    if root is None:
        return None
    for node in reversed([node for node in nodes(root) if not hasattr(node, "variable")]):
        name = operation(node)
        op = name.lower()
        try:
            if name in ("Log", "Log2", "Log10"):
                found = _pole(op, f"{op} of a number that is not positive", saved(node, "self"), lambda x: x <= 0)
            elif name == "Div":
                found = _pole(op, "a division by 0", saved(node, "other"), lambda x: x == 0)
            elif name in ("Sqrt", "Rsqrt", "Exp", "Reciprocal"):
                found = _pole(op, f"the result of {op} is not finite", saved(node, "result"), _not_finite)
            elif name == "Mean" and node._saved_self_sym_numel == 0:
                found = Pole(op, "a mean of no elements", [])
            else:
                continue
        except (AttributeError, RuntimeError):  # not saved, or already freed
            continue
        if found is not None:
            return found
    return None


def _not_finite(values: torch.Tensor) -> torch.Tensor:
    return ~torch.isfinite(values)


def _pole(
    op: str, detail: str, values: torch.Tensor | None, at_pole: Callable[[torch.Tensor], torch.Tensor]
) -> Pole | None:
    """None where ``values`` cannot be had."""
    if values is None:
        return None
    where = at_pole(values)
    times = int(where.sum())
    if not times:
        return None
    rows = where.flatten(1).any(1) if where.dim() > 1 else where
    return Pole(op, f"{detail}, {times} times", rows.nonzero().flatten().tolist() if where.dim() else [])


def entered(root: Any) -> torch.Tensor | None:
    """The first tensor that no gradient goes to and that an operation saved: in most models, what entered it.

    Only before backward().
    """
    if root is None:
        return None
    for node in reversed([node for node in nodes(root) if not hasattr(node, "variable")]):
        for name in ("mat1", "input", "self", "indices"):
            try:
                found = saved(node, name)
            except RuntimeError:  # already freed
                return None
            if isinstance(found, torch.Tensor) and found.dim() and not found.requires_grad:
                return found
    return None


def suspect(root: Any, names: Mapping[int, str], bad: Set[str]) -> tuple[str | None, str | None, str]:
    """After a backward pass that spoiled the gradients of ``bad``: (bad parameter nearest to the loss, operation, why).

    A gradient that is not finite spoils everything below it, so the culprit reaches bad parameters only. Where
    operations of more than one kind are possible, none is named. ``names`` of parameters by id().
    """
    if root is None:
        return None, None, ""
    found = nodes(root)
    below: dict[Any, tuple[bool, bool]] = {}  # does it reach (a good, a bad) parameter
    nearest: str | None = None
    for node in reversed(found):
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            name = names.get(id(leaf))
            below[node] = (name is not None and name not in bad, name in bad)
            continue
        children = [child for child, _ in node.next_functions if child is not None]
        reached = [below.get(child, (False, False)) for child in children]
        below[node] = (any(good for good, _ in reached), any(spoilt for _, spoilt in reached))
        for child in children:
            name = names.get(id(getattr(child, "variable", None)))
            if name in bad:
                nearest = name
    kinds = {
        operation(node)
        for node in found
        if below[node] == (False, True) and operation(node) in SUSPECTS and not _whole_power(node)
    }
    if len(kinds) != 1:
        return nearest, None, f"one of {', '.join(sorted(kinds)).lower()}" if kinds else ""
    kind = kinds.pop()
    return nearest, kind.lower(), SUSPECTS[kind]


def _whole_power(node: Any) -> bool:
    """x ** 2 and the like, whose derivative is finite."""
    exponent = getattr(node, "_saved_exponent", None)
    return isinstance(exponent, int | float) and exponent >= 1
