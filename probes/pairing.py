"""A difference written by hand that is stretched to all pairs: (n, 1) less (n) is (n, n), not n differences."""

from __future__ import annotations

from typing import Any

DIFFERENCES = ("SubBackward0", "RsubBackward1")
NODES = 64
"""Nodes looked at below the root, at most."""
LEAST = 4
"""Rows from which on a square of them is no accident of small sizes."""


def pairs(root: Any) -> dict[str, list[int]] | None:
    """``input``, the shape of what was predicted, n numbers, and ``pairs``, the shape (n, n) of its difference from
    something that no gradient goes to: a target of n numbers along the other axis. None where there is none."""
    queue = [root]
    for node in queue:
        below = [(child, number) for child, number in node.next_functions if child is not None]
        if type(node).__name__ in DIFFERENCES and len(below) == 1:
            made, given = _shape(node, 0), _shape(*below[0])
            if len(made) == 2 and made[0] == made[1] >= LEAST and given in ([made[0]], [made[0], 1], [1, made[0]]):
                return {"input": given, "pairs": made}
        queue += [child for child, _ in below][: max(0, NODES - len(queue))]
    return None


def _shape(node: Any, number: int) -> list[int]:
    """Of the node's output of that number; empty where torch does not tell."""
    known = getattr(node, "_input_metadata", ())
    return list(known[number].shape) if number < len(known) else []
