"""When a step is over.

With the optimizer's step. Several optimizers that step after one backward pass (parameters split between them) end it
together; a GAN, whose optimizers step after a backward pass each, makes a step with each. Without an optimizer the
backward pass ends the step.
"""

from __future__ import annotations

UNSTEPPED = 64
"""Backward passes without the end of any optimizer step after which the passes themselves count."""
LONGEST = 4096
"""The same where one has stepped before: an episode may pass back at each of its moves and step at its end."""


class Clock:
    """Optimizers are known by their id(). The public fields are read and set where a call would cost too much."""

    def __init__(self, by_backward: bool = False) -> None:
        self.by_backward = by_backward
        """There is no optimizer: a backward pass ends a step."""
        self.backwards = 0
        """Backward passes since an optimizer last stepped."""
        self.stepping = 0
        """The optimizer whose step is under way, 0 for none; backward passes then come from its closure. One that
        steps inside another's step (SAM, Lookahead, sharding wrappers) is part of it."""
        self.waiting = False
        """A step is left open for an optimizer that has so far stepped after the others."""
        self._first = 0
        self._round = 0
        self._expected = 1

    @property
    def together(self) -> int:
        """Optimizers that step after the same backward pass."""
        return self._expected

    @property
    def between(self) -> bool:
        """Is no step under way, and did all that step together do so last time?"""
        under_way = self.by_backward or self.backwards or self.stepping or self.waiting
        return not under_way and self._round == self._expected

    def went(self, first: int, done: int) -> None:
        """Steps were seen in another way: ``first`` was the first to step in the last of them, of which ``done`` have
        stepped; 0: all."""
        self._first, self._round, self.waiting = first, done or self._expected, done > 0

    def backward_begins(self) -> bool:
        """While ``waiting``: True when the awaited optimizer did not step this time, and the step ends without it."""
        if self.stepping:
            return False
        self.waiting = False
        self._expected = self._round
        return True

    def never_stepped(self) -> bool:
        """After many backward passes without an optimizer's step: from now on they end the steps."""
        if self.backwards >= (LONGEST if self._first else UNSTEPPED):
            self.by_backward, self.stepping = True, 0
        return self.by_backward

    def step_ends(self, optimizer: int) -> bool:
        """Is the step over?"""
        if optimizer != self.stepping:
            return False
        if self.backwards or optimizer == self._first:  # else it follows another one, after the same backward pass
            self._first, self._round = optimizer, 0
        self._round += 1
        self.stepping = self.backwards = 0
        self.by_backward = False
        self.waiting = self._round < self._expected
        if self._round > self._expected:
            self._expected = self._round
            return False
        return not self.waiting
