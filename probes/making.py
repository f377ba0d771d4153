"""The step that is being made: what the hooks know of it, on the short way and on the long one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .groups import NAN
from .stages import CALL, CLOSED

if TYPE_CHECKING:
    import weakref

    import torch

    from .loaders import Pass


class Making:
    """Its fields are those of the lane in C too (`lane.c`)."""

    __slots__ = (
        "accumulates",
        "backwards",
        "batch",
        "batches",
        "ended",
        "epoch",
        "first",
        "form",
        "fresh",
        "inside_backward",
        "iterator",
        "loader",
        "passes",
        "rows",
        "spent",
        "stage",
        "step",
        "target",
        "timed",
        "trained_on",
        "turn",
        "wait",
    )

    def reset(self) -> None:
        """Nothing of an earlier process."""
        self.inside_backward = False
        self.forget_batch()
        self.begin()

    def forget_batch(self) -> None:
        """The last batch is not for training, which may use no loader."""
        self.iterator: weakref.ref[Any] | None = None
        self.loader: Pass | None = None
        """The pass over a loader that the last batch came from."""
        self.batch: Any = None
        self.fresh = False
        """The batch has not been trained on yet."""

    def begin(self) -> None:
        """Nothing of an earlier segment."""
        self.stage = CLOSED
        self.form = CALL
        """As the long way saw it last."""
        self.step = 0
        """Optimizer steps made."""
        self.backwards = 0
        self.batches = 0
        """Batches of a loader that were trained on."""
        self.rows = 0
        self.wait = 0.0
        """Seconds that this step has waited for its batches."""
        self.ended = NAN
        """perf_counter at the end of the last step."""
        self.timed = False
        """The time that the hooks of this step take is measured."""
        self.spent = 0.0
        """Seconds of it so far."""
        self.target: torch.Tensor | None = None
        """Of the loss call that was last trained on."""
        self.trained_on: Pass | None = None
        self.epoch = 0
        """Of the pass that was last trained on."""
        self.turn = self.first = -1
        """The optimizer that stepped last in the lane, or is stepping, and of those that step together the one that
        stepped first when that was last over, by their places in the plan; -1 for none."""
        self.accumulates = False
        """The last step in the lane took several backward passes."""


def by_the_clock(hook: Callable[..., bool]) -> Callable[..., bool]:
    """In a step whose hooks are measured the time is taken."""

    @functools.wraps(hook)
    def clocked(self: Making, *args: Any) -> bool:
        if not self.timed:
            return hook(self, *args)
        began = perf_counter()
        found = hook(self, *args)
        self.spent += perf_counter() - began
        return found

    return clocked
