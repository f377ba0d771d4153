"""Passes over validation data: when one begins, and which of its batches are looked at thoroughly.

While training goes on no hook is on a model whose steps are short, so a validation batch's inputs are seen only where
the evaluation is noticed before: by ``eval()``, by a batch from another loader, or by its first loss.
"""

from __future__ import annotations

from torch import nn

from .training import Training

FIRST = 4
"""Batches of an evaluation, and evaluations of a segment, that are looked at in any case."""
EVERY = 8
"""Of the further batches one in so many."""
APART = 16
"""Steps between further evaluations that are looked at thoroughly: validating after each step has its price already."""
MISSES = 8
"""Notices in a row without a validation batch (a reinforcement learner goes to eval mode to act) before they are
ignored."""


class Evaluation:
    def __init__(self, training: Training) -> None:
        self._training = training
        self._step = -1
        self._batches = 0
        self._number = 0
        self._detailed = False
        self._last = 0
        self._misses = 0
        self._apart = -1
        """Step after which a module that is not trained was sent to eval mode."""

    @property
    def elsewhere(self) -> bool:
        """Is another module evaluated than the one that is trained: an average of it?"""
        training = self._training
        return training.layers.other is None and (self._apart == training.lane.step or training.averaged.rests)

    def noticed(self, module: nn.Module | None = None) -> None:
        """One seems to begin: what enters the model is noted until the next training step is over. ``module`` goes to
        eval mode."""
        training = self._training
        if module is not None and training.model is not None and not _joined(module, training.model.roots):
            self._apart = training.lane.step
        layers = training.layers
        if not training.awake or training.deaf or training.script.compiled or self._misses >= MISSES:
            return
        self._misses += 1
        layers.evaluating = True
        state = "modes" if layers.modes.functional or layers.written.validates else "call"
        if layers.state == "none" or (layers.state == "call" and state == "modes"):
            training.lane.leave()
            layers.place(state)

    def batch(self) -> bool:
        """A validation batch has been seen: is it to be looked at thoroughly?"""
        step = self._training.lane.step
        if step != self._step:
            self._step, self._batches = step, 0
            self._number += 1
            self._detailed = self._number <= FIRST or step - self._last >= APART
            if self._detailed:
                self._last = step
        place, self._batches = self._batches, self._batches + 1
        self.noticed()
        self._misses = 0
        return self._detailed and (place < FIRST or place % EVERY == 0)


def _joined(module: nn.Module, roots: list[nn.Module]) -> bool:
    """Is one of the roots the module, a part of it, or what it is a part of?"""
    if any(module is root for root in roots):
        return True
    wholes = {id(root) for root in roots}
    parts = {id(part) for root in roots for part in root.modules()}
    return id(module) in parts or any(id(part) in wholes for part in module.modules())
