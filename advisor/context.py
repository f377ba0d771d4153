"""What a rule may look at: one track of the history as it stood at a boundary, its clocks, layers and flags."""

from __future__ import annotations

import math
from functools import cached_property

from .layers import Layers

DENSE = 20
"""Every step is judged up to this one: a wrong learning rate kills before step 10."""

_AVERAGED = frozenset({"DivBackward0", "MulBackward0", "MeanBackward0"})
"""Operations that make a mean of what was added up."""


class Context(Layers):
    """The flags: what kind of training this is, as far as it changes what a number means."""

    @cached_property
    def finetune(self) -> bool:
        """Frozen parameters, or a first loss far below that of a guess: the net was trained before."""
        if any(self.facts.get(fact) for fact in ("frozen", "pretrained", "attached")) or self.adapters:
            return True
        classes = self.facts.get("classes")
        return bool(classes and self.has("loss.train") and self.first_loss < 0.5 * math.log(max(classes, 2)))

    @cached_property
    def several_terms(self) -> bool:
        """A step consumes several loss calls: the training loss is their sum."""
        return self.has("loss.term") and self.view("loss.term").values.shape[1] > 1

    @property
    def summed(self) -> bool:
        """The same line calls the loss several times a step, once for each place of a sequence, and the training loss
        is the sum."""
        graph = self.facts.get("loss.graph") or {}
        return int(graph.get("calls") or 1) > 1 and _AVERAGED.isdisjoint(graph.get("after") or ())

    @cached_property
    def batchnorm(self) -> bool:
        return bool((self.facts.get("layers") or {}).get("batchnorm"))

    @property
    def accumulation(self) -> int:
        """Backward passes to one optimizer step."""
        return int(self.facts.get("accumulation") or 1)

    @property
    def tiny_batch(self) -> bool:
        """Fewer than 8 samples in a step: every number of one batch is mostly noise."""
        return self.batch_size is not None and self.batch_size < 8

    @property
    def amp(self) -> bool:
        return bool(self.facts.get("amp"))

    @property
    def adapters(self) -> bool:
        """Small matrices are trained beside frozen ones (LoRA)."""
        return bool(self.facts.get("adapters"))
