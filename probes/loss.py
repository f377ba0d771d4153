"""Calls of loss functions, and which of them training consumed.

A call is told apart by autograd's own numbering: a node made later has a higher sequence number, so a walk from
the root of backward() meets a term after a few nodes or not at all, and no graph is kept alive to find out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

if TYPE_CHECKING:
    from .loaders import Pass

DEPTH = 200
"""Nodes looked at, at most, between the root and a term."""

Value = float | torch.Tensor
"""A number on the CPU; on a device the detached scalar, read later."""


class Term(NamedTuple):
    """One call of a loss function: ``name(*args, **kwargs)`` gave ``value``. ``loader`` is the pass that the
    last batch before it came from, or None; ``inputs`` what the model was called with before; ``mode`` the share of
    its dropout and BatchNorm layers in training mode, where that is not as in training; ``site`` the line that calls
    it, as `terms.py` names it. None where not known."""

    name: str
    function: Callable[..., torch.Tensor]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    value: Value | None
    sequence: int
    loader: Pass | None
    inputs: Any = None
    mode: float | None = None
    site: str | None = None

    def light(self) -> Term:
        """The same without what holds much memory: the graph, and what entered the model."""
        args = tuple(a.detach() if isinstance(a, torch.Tensor) else a for a in self.args)
        kwargs = {key: a.detach() if isinstance(a, torch.Tensor) else a for key, a in self.kwargs.items()}
        return self._replace(args=args, kwargs=kwargs, inputs=None)

    @property
    def input(self) -> torch.Tensor | None:
        found = self.args[0] if self.args else self.kwargs.get("input")
        return found if isinstance(found, torch.Tensor) else None

    @property
    def target(self) -> torch.Tensor | None:
        found = self.args[1] if len(self.args) > 1 else self.kwargs.get("target")
        return found if isinstance(found, torch.Tensor) else None

    def option(self, name: str, place: int, default: Any) -> Any:
        """An argument by its name or its place among the positional ones."""
        return self.kwargs[name] if name in self.kwargs else self.args[place] if len(self.args) > place else default


def scalar(tensor: torch.Tensor) -> Value | None:
    """The value of a one-number tensor without waiting for a device; None for any other tensor."""
    if tensor.numel() != 1:
        return None
    return tensor.item() if tensor.is_cpu else tensor.detach().reshape(())


def consumed(node: Any, terms: Sequence[Term]) -> list[Term]:
    """The terms that the graph below ``node`` was made from, in the order they were called."""
    if node is None or not terms:
        return []
    wanted = {term.sequence: term for term in terms}
    earliest = min(wanted)
    found: list[Term] = []
    queue, seen = [node], {node}
    for node in queue:
        sequence = node._sequence_nr()
        term = wanted.pop(sequence, None)
        if term is not None:
            found.append(term)
            if not wanted:
                break
        if sequence > earliest:
            for below, _ in node.next_functions:
                if below is not None and below not in seen and len(seen) < DEPTH:
                    seen.add(below)
                    queue.append(below)
    return sorted(found, key=lambda term: term.sequence)
