"""When a step is over.

With the optimizer's step. Several optimizers that step after one backward pass (parameters split between them) end it
together; a GAN, whose optimizers step after a backward pass each, makes a step with each. Without an optimizer the
backward pass ends the step.
"""

from __future__ import annotations

UNSTEPPED = 64
"""Backward passes without any optimizer step after which the passes themselves count."""


class Clock:
    """Each method says whether a step is over now. ``by_backward``: there is no optimizer."""

    def __init__(self, by_backward: bool = False) -> None:
        self._by_backward = by_backward
        self._backwards = 0
        self._stepped: list[int] = []
        self._expected = 1
        self._running: list[int] = []

    def backward_begins(self) -> bool:
        """True when a step was left open, waiting for an optimizer that this time did not step."""
        if self._running or not self._stepped:  # inside a closure it is still the same step
            return False
        left_open = len(self._stepped) < self._expected
        if left_open:
            self._expected = len(self._stepped)
        self._stepped.clear()
        return left_open

    def backward_ends(self) -> bool:
        self._backwards += 1
        if self._by_backward:
            return not self._running
        if self._backwards >= UNSTEPPED and not self._stepped:
            self._by_backward = True
        return False

    def step_begins(self, optimizer: int) -> None:
        """``optimizer`` is an id(). One may step inside another's step (SAM, Lookahead, sharding wrappers)."""
        if optimizer in self._running:  # its last step ended in an exception
            self._running.clear()
        self._running.append(optimizer)
        self._by_backward = False

    def step_ends(self, optimizer: int) -> bool:
        if optimizer in self._running:
            del self._running[self._running.index(optimizer) :]
        if self._running:
            return False
        self._backwards = 0
        if optimizer in self._stepped:  # again, with no backward pass between: gradients came another way
            self._stepped.clear()
        self._stepped.append(optimizer)
        if len(self._stepped) > self._expected:
            self._expected = len(self._stepped)
            return False
        return len(self._stepped) == self._expected

    @property
    def inside_step(self) -> bool:
        return bool(self._running)
