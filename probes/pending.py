"""Calls of loss functions, until it is known whether training consumes them; a call that it does not is validation."""

from __future__ import annotations

from time import time
from typing import Any

import torch

from . import reduction
from .emit import Column
from .evaluation import Evaluation
from .loaders import Pass
from .loss import Term, Value, consumed
from .stages import CALLS, Call
from .training import Training
from .validation import Validation

PENDING = 8
"""Loss calls kept while it is open whether training consumes them."""
HEAVY = CALLS
"""Of these the last ones, with their graph: an evaluation with gradients on would pile the graphs up."""


class Pending:
    def __init__(self, training: Training) -> None:
        self._training = training

    def begin(self) -> None:
        """Nothing of an earlier segment."""
        self.terms: list[Term] = []
        training = self._training
        self._validation = Validation(training.fetch, training.probes, training.match)
        self.evaluation = Evaluation(self._training)
        self._validated = False
        training.layers.written.begin(training.terms.site, self._written)

    def _written(self, term: Term) -> None:
        """The loss of a validation batch, written by hand."""
        layers, lane = self._training.layers, self._training.lane
        term = term._replace(loader=lane.loader, inputs=layers.other)
        self.validate(term, torch.as_tensor(term.value), gradients=False)

    def called(self, call: Call, number: Value | None, node: Any) -> Term:
        """A loss function is called now."""
        training = self._training
        sited = training.sample is not None or training.terms.several
        return self.add(call, number, node, training.terms.site(call[0]) if sited else None)

    def add(self, call: Call, number: Value | None, node: Any, site: str | None) -> Term:
        """It is open whether training consumes it. ``node`` of the graph made its value, ``number``. Under a mode of
        torch functions (a default device) a loss function is called once more inside itself."""
        if self.terms and self.terms[-1].sequence == node._sequence_nr():
            return self.terms[-1]
        layers = self._training.layers
        mode = layers.modes.share(evaluating=True) if layers.other is not None else None
        inputs = layers.other or layers.call
        term = Term(*call, number, node._sequence_nr(), self._training.lane.loader, inputs, mode, site)
        self.terms.append(term)
        if len(self.terms) > HEAVY:
            self.terms[-HEAVY - 1] = self.terms[-HEAVY - 1].light()
        if len(self.terms) > PENDING:
            self._unconsumed(self.terms.pop(0))
        return term

    def consumed(self, node: Any) -> list[Term]:
        """The loss calls that the backward pass from ``node`` is for."""
        pending, self.terms = self.terms, []
        terms = consumed(node, pending)
        if len(terms) != len(pending):
            taken = {term.sequence for term in terms}
            for other in pending:
                if other.sequence not in taken:
                    self._unconsumed(other)
        return terms

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
            self.validate(term, torch.as_tensor(term.value), gradients=True)

    def validate(self, term: Term, value: torch.Tensor, gradients: bool) -> None:
        """A call that no training came from, unless it is a metric of the training batch. ``gradients`` were on."""
        training = self._training
        lane = training.lane
        if not self._is_metric(term, gradients):
            training.disturbed = True
            training.script.validated(lane.loader)
            if lane.loader is not None and not self._learned_from(lane.loader):
                lane.forget_batch()
            self._measure(term, value, gradients)
        training.layers.spend()

    def _is_metric(self, term: Term, gradients: bool) -> bool:
        """Is it of the training batch once more, of a pass over the training data, or of a batch to be trained on?"""
        lane = self._training.lane
        seen, trained = term.target, lane.target
        if seen is not None and trained is not None and seen.data_ptr() == trained.data_ptr():
            return True
        return self._learned_from(term.loader) if gradients else lane.fresh and self._learned_from(lane.loader)

    def _measure(self, term: Term, value: torch.Tensor, gradients: bool) -> None:
        training, step = self._training, self._training.lane.step
        layers = training.layers
        mode = term.mode
        if mode is None and not self.evaluation.elsewhere:
            mode = layers.modes.share(evaluating=not gradients)
        known: list[Column] = [("grad.val", 0, float(gradients))]
        if mode is not None:
            known.append(("mode.val", 0, mode))
        detailed = self.evaluation.batch()
        if training.script.reduction == "mean" and reduction.of(term) == "sum":
            value = reduction.averaged(term, value)
        self._validation.see(term, value, detailed, known, lambda kind, columns: self._publish(kind, step, columns))

    def _publish(self, kind: str, step: int, columns: list[Column]) -> None:
        self._training.emit.columns(kind, step, time(), columns)
        if not self._validated and self._training.awake:
            self._validated = True
            self._training.tell()
