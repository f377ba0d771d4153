"""Looks out for numbers that are not finite, and keeps at hand what an autopsy needs."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any

import torch

from . import bundle, ending, labels
from .alarm import Alarm
from .case import Case, Report
from .loaders import indices
from .loss import Term
from .model import Model
from .training import Training
from .wrong import finite

CANARY = 4096
"""Elements, at most, of the gradient that is looked at on every step."""


class NonFinite:
    def __init__(self, training: Training) -> None:
        self._training = training
        self._kept = 0

    def begin(self) -> None:
        """Nothing of an earlier segment."""
        training = self._training
        self.canary: weakref.ref[torch.Tensor] | None = None
        """The small parameter whose gradient stands for all."""
        self.alarm = Alarm(
            lambda step, data: training.emit.event("nonfinite", step, data),
            self._keep,
            lambda error: training.probes.failed("autopsy", error),
            training.ours,
        )

    def adopt(self, model: Model) -> None:
        """Choose the gradient that stands for all: a NaN in a backward pass reaches the first layer."""
        small = [parameter for parameter in model.parameters() if parameter.numel() <= CANARY]
        self.canary = weakref.ref(small[0]) if small else None

    def loss(self, term: Term | None, node: Any, number: float) -> None:
        """The loss is not finite, and the weights that made it are still there."""
        training = self._training
        training.term, training.node = term, node
        self.alarm.loss(self._case, training.lane.step + 1, number)

    def late_loss(self) -> Callable[[float], None]:
        """The loss of the step that is being closed is still on a device: what to do when it has come."""
        case, step = self._case(), self._training.lane.step

        def arrived(loss: float) -> None:
            if loss - loss != 0.0:
                self.alarm.loss(lambda: case, step, loss, late=True)

        return arrived

    def look(self) -> None:
        """Look at the sum of one small gradient. On the CPU only: no waiting."""
        parameter = self.canary() if self.canary is not None else None
        gradient = parameter.grad if parameter is not None else None
        if gradient is not None and gradient.is_cpu and not gradient.is_sparse:
            total = gradient.sum().item()
            if total - total != 0.0:
                self.gradients()

    def gradients(self) -> None:
        """A gradient is not finite."""
        training = self._training
        training.lane.leave()
        if not training.script.amp:  # a scaler looks for its scale by overflowing
            loss = training.loss
            self.alarm.gradients(self._case, training.lane.step + 1, loss if type(loss) is float else None)

    def weights(self) -> None:
        """A step that is being closed has left weights that are not finite."""
        training = self._training
        training.lane.leave()
        loss = training.loss
        self.alarm.weights(self._case, training.lane.step + 1, loss if type(loss) is float else None)

    def refused(self, term: Term) -> None:
        """The loss function raised an exception: where labels are no classes, that is why."""
        training = self._training
        if training.awake and labels.of_term(term) is not None:
            training.term, training.node = term, None
            self.alarm.refused(self._case, training.lane.step + 1)

    def raised(self) -> None:
        """An exception has ended the script: where it complains of such a number, and the weights are sound, that came
        in with the data."""
        training = self._training
        report = ending.spoiled() if self.alarm.armed and training.model is not None else None
        if report is not None and training.model is not None and all(map(finite, training.model.parameters())):
            step = training.lane.step + 1
            data = {"layer": None, "op": None, **report, "loss": None, "last_finite_step": step - 1}
            training.emit.event("nonfinite", step, data)

    def _keep(self, case: Case, step: int, report: Report) -> None:
        """Save the batch beside the session, where there is one."""
        training = self._training
        if training.session is None or self._kept >= bundle.MOST:
            return
        self._kept += 1
        emit = training.emit
        stem = training.session.removesuffix(".nnw") + ".autopsy"
        name = f"segment-{emit.segment}.rank-{emit.rank}.step-{step}"
        while os.path.exists(os.path.join(stem, name)):  # of another process of the same rank
            name += "+"
        try:
            files = bundle.write(os.path.join(stem, name), step, report, case)
        except OSError as error:
            text = f"the batch of step {step}, whose loss is not finite, was not kept: {error.strerror or error}"
            emit.event("notice", step, {"text": text})
        else:
            folder = os.path.join(os.path.basename(stem), name)
            emit.event("autopsy", step, {"folder": folder, "files": files})

    def _case(self) -> Case:
        """What is at hand now. It holds the batch and the graph: not to be kept."""
        training = self._training
        model = training.model or Model(list(training.modules.values()), training.script.optimizers())
        named = list(zip(model.names, model.parameters(), strict=False))
        optimizers = [optimizer for ref in training.optimizers if (optimizer := ref()) is not None]
        root = model.roots[0] if len(model.roots) == 1 and not training.script.compiled else None
        lane, call = training.lane, training.layers.call
        iterator = lane.iterator() if lane.iterator is not None else None
        places = indices(iterator) if iterator is not None else None
        return Case(named, optimizers, lane.step, root, call, lane.batch, places, training.term, training.node)
