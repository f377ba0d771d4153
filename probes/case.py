"""What is at hand when a number is not finite: the weights, the batch, the loss call, the graph, and how to pass again.

A case is made while the weights are still those that made the number: before the step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

import torch
from torch import nn

from .graph import entered
from .layers import Call
from .loss import Term
from .nested import tensors
from .recall import named, recalled
from .search import Pass
from .wrong import HALF

Report = dict[str, Any]
"""The data of a ``nonfinite`` event, see nnwatch/README.md."""


class Case:
    """``parameters`` by name; ``steps`` were made; ``root`` is the model, where it is one; ``noted`` its call, on steps
    that note it; ``batch`` what a loader gave, ``places`` of its samples in the data set; ``node`` made the number that
    backward() gets.
    """

    def __init__(
        self,
        parameters: Sequence[tuple[str, torch.Tensor]],
        optimizers: Sequence[torch.optim.Optimizer],
        steps: int,
        root: nn.Module | None,
        noted: Call | None,
        batch: Any,
        places: Sequence[int] | None,
        term: Term | None,
        node: Any,
    ) -> None:
        self.parameters = parameters
        self.optimizers = optimizers
        self.steps = steps
        self.batch = batch
        self.places = places
        self.term = term
        self.node = node
        self._root = root
        self._noted = noted
        self._passes: dict[Any, Pass | None] = {}

    @property
    def call(self) -> Call | None:
        """How the model was called: as it was noted, else as it can be made out."""
        return self._noted if self._noted is not None or self.recalled is None else self.recalled[0]

    @cached_property
    def recalled(self) -> tuple[Call, Any] | None:
        """How the model was called, made out by trying, and what it gave."""
        return recalled(self._root, self.batch, self.node, self.output)

    @property
    def output(self) -> torch.Tensor | None:
        """What the loss call got to judge."""
        return self.term.input if self.term is not None else None

    def entered(self) -> list[torch.Tensor]:
        """What came in: the arguments of the model; else what the graph holds of them, if the user's code has a name
        for it, and the batch."""
        if self._noted is not None:
            found = tensors([self._noted.args, self._noted.kwargs])
        else:
            first = entered(self.node)
            found = [*([first] if first is not None and named(first) else []), *tensors(self.batch)]
        return [tensor.detach() for tensor in found if tensor.is_floating_point() and tensor.numel()]

    def half(self) -> str | None:
        """The half precision that the pass used."""
        begun = self.call.begun if self.call is not None else None
        used = [dtype for _, dtype in begun.autocast] if begun is not None else []
        used += [parameter.dtype for _, parameter in self.parameters]
        return next((str(dtype).removeprefix("torch.") for dtype in used if dtype in HALF), None)

    def again(self, search: Callable[[Call], Pass]) -> Pass | None:
        """The pass once more; None when it cannot be made, which says nothing."""
        if search not in self._passes:
            self._passes[search] = None
            if self.call is not None:
                with suppress(Exception):  # the user's own, raised in a pass of ours
                    self._passes[search] = search(self.call)
        return self._passes[search]

    @property
    def passes(self) -> list[Pass]:
        """Those that were made again."""
        return [found for found in self._passes.values() if found is not None]
