"""Calls of loss functions, until it is known whether training consumes them; a call that it does not is validation."""

from __future__ import annotations

from time import time
from typing import Any

import torch

from .emit import Column
from .lane import Call
from .loaders import Pass
from .loss import Term, Value, consumed
from .training import Training
from .validation import Validation

PENDING = 4
"""Loss calls kept while it is open whether training consumes them."""


class Pending:
    def __init__(self, training: Training) -> None:
        self._training = training

    def begin(self) -> None:
        """Nothing of an earlier segment."""
        self.terms: list[Term] = []
        self._validation = Validation(self._training.fetch)
        self._validated = False

    def add(self, call: Call, number: Value | None, node: Any) -> Term:
        """It is open whether training consumes it. ``node`` of the graph made its value, ``number``."""
        term = Term(*call, number, node._sequence_nr(), self._training.lane.loader)
        self.terms.append(term)
        if len(self.terms) > PENDING:
            self._unconsumed(self.terms.pop(0))
        return term

    def consumed(self, node: Any) -> tuple[Term | None, Value | None]:
        """The loss call that the backward pass from ``node`` is for, and its value; no value when there are several."""
        pending, self.terms = self.terms, []
        terms = consumed(node, pending)
        if len(terms) != len(pending):
            taken = {term.sequence for term in terms}
            for other in pending:
                if other.sequence not in taken:
                    self._unconsumed(other)
        return (terms[0] if terms else None), (terms[0].value if len(terms) == 1 else None)

    def give_up(self) -> None:
        """No backward pass will follow."""
        for term in self.terms:
            self._unconsumed(term)

    def trains(self) -> bool:
        """Is the model in training mode, as far as it is known?"""
        model = self._training.model
        roots = model.roots if model is not None else []
        return not roots or roots[0].training

    def _learned_from(self, loader: Pass | None) -> bool:
        """Is this a pass over the loader that training last learned from?"""
        known = self._training.lane.trained_on
        return loader is not None and known is not None and loader.loader is known.loader

    def _unconsumed(self, term: Term) -> None:
        """No backward pass came to it: a validation batch with gradients on, or a loss that is only looked at."""
        other = term.loader is not None and not self._learned_from(term.loader)
        if (other or not self.trains()) and term.value is not None:
            self.validate(term, torch.as_tensor(term.value))

    def validate(self, term: Term, value: torch.Tensor) -> None:
        """A call that no training came from, unless it is a metric of the training batch."""
        training = self._training
        lane = training.lane
        seen, trained = term.target, lane.target
        if seen is not None and trained is not None and seen.data_ptr() == trained.data_ptr():
            return  # the training batch once more: a metric
        if lane.fresh and self._learned_from(lane.loader):
            return  # a pass over the training data, or a metric before the batch is trained on
        training.disturbed = True
        training.script.validated(lane.loader)
        step = lane.step
        training.probes.run(
            "validation", lambda: self._validation.see(term, value, lambda columns: self._publish(step, columns))
        )

    def _publish(self, step: int, columns: list[Column]) -> None:
        self._training.emit.columns("val", step, time(), columns)
        if self._training.awake and not self._validated:
            self._validated = True
            self._training.tell()
