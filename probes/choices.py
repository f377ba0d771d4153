"""Where a loss tells a policy which of its actions to repeat: log-probabilities of actions taken, read from the graph.

They come from ``log_prob`` of torch.distributions or are written by hand: log_softmax or log(softmax), and the actions
picked out of it by gather or an index; cross entropy without a reduction is the same with the sign turned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from .graph import operation, saved

NODES = 600
"""Operations looked at between a loss and its log-probabilities, at most."""
MOST = 64
"""Log-probabilities of one loss, at most: an episode has one a step."""
NEAR = 16
"""Operations between a ratio and its log-probabilities, at most."""
DEEP = 8
"""Operations between a log-probability and its softmax, at most."""
BETWEEN = {"Squeeze", "Unsqueeze", "Expand", "View", "UnsafeView", "Transpose", "Permute", "Clamp", "Div"}
"""Operations between a log-probability and its softmax that leave it what it is; torch divides shares by their sum."""
PICKED = {"Gather", "Index"}
ERRORS = {"MseLoss", "SmoothL1Loss", "HuberLoss"}


class Logits(NamedTuple):
    """What a softmax was taken of: output ``place`` of ``node``, which is None where no gradient goes on; ``shares``
    (..., n) are its result."""

    node: Any
    place: int
    shares: torch.Tensor


class Choice(NamedTuple):
    """``node`` gave log-probabilities of actions, negative ones where ``sign`` is -1. Of a choice among a few also the
    ``logits``, and which were ``taken``."""

    node: Any
    sign: int
    logits: Logits | None
    taken: torch.Tensor | None
    values: torch.Tensor | None


class Found(NamedTuple):
    """Between a loss and the log-probabilities it learns from. ``errors`` are differences to a target, of a critic it
    may be; ``ratios`` results of exp, of log-probabilities; ``factors`` what something was multiplied by."""

    choices: list[Choice]
    errors: list[Any]
    ratios: list[torch.Tensor]
    factors: list[torch.Tensor]


def find(root: Any, rated: Mapping[int, torch.Tensor]) -> Found:
    """Below ``root``, before backward(). ``rated`` are what log_prob gave, by the numbers of their nodes."""
    found = Found([], [], [], [])
    powers: list[Any] = []
    products: list[Any] = []
    queue, seen = [root], {root}
    for node in queue:
        kind = operation(node)
        choice = _choice(node, kind, rated)
        if choice is not None:
            found.choices.append(choice)
            if len(found.choices) == MOST:
                break
            continue
        if kind in ERRORS:
            found.errors.append(node)
        elif kind == "Pow" and node._saved_exponent == 2 and operation(node.next_functions[0][0]) == "Sub":
            found.errors.append(node.next_functions[0][0])
        elif kind == "Exp":
            powers.append(node)
        elif kind == "Mul":
            products.append(node)
        for below, _ in node.next_functions:
            if below is not None and below not in seen and len(seen) < NODES:
                seen.add(below)
                queue.append(below)
    known = {choice.node for choice in found.choices}
    ratios = (saved(power, "result") for power in powers if _above(power, known))
    found.ratios.extend(ratio.detach() for ratio in ratios if ratio is not None)
    sides = (saved(product, side) for product in products if _above(product, known) for side in ("self", "other"))
    found.factors.extend(side for side in sides if side is not None and not side.requires_grad)
    return found


def _above(node: Any, wanted: set[Any]) -> bool:
    """Is one of these a little below ``node``?"""
    queue = [node]
    for node in queue:
        if node in wanted:
            return True
        queue.extend(below for below, _ in node.next_functions if below is not None and len(queue) < NEAR)
    return False


def _choice(node: Any, kind: str, rated: Mapping[int, torch.Tensor]) -> Choice | None:
    """None where no actions are picked out of what a policy gives."""
    values = rated.get(node._sequence_nr()) if rated else None
    if values is not None:
        return Choice(node, 1, *_picked(node), values)
    if kind == "NllLoss" and node._saved_reduction == 0:
        logits, _ = _picked(node)
        return None if logits is None else Choice(node, -1, logits, saved(node, "target"), None)
    if kind in PICKED or kind == "Log":
        logits, taken = _picked(node)
        if logits is not None and taken is not None:
            return Choice(node, 1, logits, taken, None)
    return None


def _picked(node: Any) -> tuple[Logits | None, torch.Tensor | None]:
    """The softmax that ``node`` picked from, and what was picked."""
    picking, logarithm, outer = None, False, node
    for _ in range(DEEP):
        kind = operation(node)
        if kind in PICKED:
            picking = node
        elif kind == "Log":
            logarithm = True
        elif kind == "LogSoftmax" or (kind == "Softmax" and logarithm):
            result = saved(node, "result")
            if result is None:
                return None, None
            return _logits(node, result.detach().exp() if kind == "LogSoftmax" else result.detach()), _taken(picking)
        elif kind == "Sub" and operation(node.next_functions[1][0]) == "Logsumexp":
            values = saved(node.next_functions[1][0], "self")
            return (None, None) if values is None else (_logits(node, values.detach().softmax(-1)), _taken(picking))
        elif node is not outer and kind not in BETWEEN:
            return None, None
        if not node.next_functions or node.next_functions[0][0] is None:
            return None, None
        node = node.next_functions[0][0]
    return None, None


def _taken(picking: Any) -> torch.Tensor | None:
    """The actions that an operation, if there was one, picked out."""
    taken: torch.Tensor | None = saved(picking, "index")
    indices = saved(picking, "indices")
    return taken if indices is None else indices[-1]


def _logits(node: Any, shares: torch.Tensor) -> Logits:
    """What ``node`` normalised."""
    below, place = node.next_functions[0]
    return Logits(below, place, shares)
