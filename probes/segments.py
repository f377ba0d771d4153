"""Where one uninterrupted training begins: at the first backward pass, or when another model is trained."""

from __future__ import annotations

import os
import weakref
from typing import Any

import torch

from .clock import Clock
from .discovery import Discovery
from .model import Model
from .nonfinite import NonFinite
from .pending import Pending
from .training import Training


class Segments:
    def __init__(self, training: Training, pending: Pending, nonfinite: NonFinite) -> None:
        self._training = training
        self._pending = pending
        self._nonfinite = nonfinite
        self.discovery = Discovery(
            training.script.optimizers, self._meet, lambda error: training.probes.failed("activations", error)
        )
        self._known: set[int] = set()
        """Optimizers by id() that the model was found from."""

    def wake(self) -> None:
        """The first backward pass, or the first step, of this process."""
        training = self._training
        training.awake = True
        self.discovery.end()
        training.clock = Clock(by_backward=not training.script.optimizers())
        if not training.emit.open_segment("start", _rank()):
            training.deaf = True
            return
        training.probes.run("facts", self._look_at_loops)

    def stepping(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer is about to step: one that is new may be the beginning of a segment."""
        training = self._training
        if training.last is None or training.last() is not optimizer:
            training.last = weakref.ref(optimizer)
            if not any(ref() is optimizer for ref in training.optimizers):
                self._adopt(optimizer)

    def _meet(self, module: torch.nn.Module, args: Any) -> None:
        """A model is called for the first time, by the looks of it to be trained."""
        training = self._training
        self._know(training.script.optimizers())
        training.layers.thorough = True
        training.layers.see_once(module, args)

    def _know(self, optimizers: list[torch.optim.Optimizer]) -> None:
        """Find out what these optimizers train."""
        training = self._training
        training.model = model = Model(list(training.modules.values()), optimizers)
        self._known = {id(optimizer) for optimizer in optimizers}
        training.layers.adopt(model)
        self._nonfinite.adopt(model)
        if training.sample is not None:
            training.sample.model = model

    def _adopt(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer steps for the first time: find out what it trains."""
        training = self._training
        alive = [ref for ref in training.optimizers if ref() is not None]
        if training.optimizers and not alive and training.model is not None and not training.model.holds(optimizer):
            self._begin()
        known = list({id(known): known for known in (*training.script.optimizers(), optimizer)}.values())
        training.optimizers = [weakref.ref(known) for known in known]
        if training.model is None or self._known != {id(known) for known in known}:
            self._know(known)

    def _begin(self) -> None:
        """Another model is trained, by another optimizer, and the old ones are gone: a fold, a trial of a sweep."""
        training = self._training
        lane = training.lane
        kept = (training.micro, training.loss, training.root, lane.rows, lane.wait)
        seen = (training.term, training.node, lane.target, lane.trained_on)
        training.begin()
        self._pending.begin()
        self._nonfinite.begin()
        training.micro, training.loss, training.root, lane.rows, lane.wait = kept
        training.term, training.node, lane.target, lane.trained_on = seen
        lane.backwards = lane.batches = 1
        training.emit.open_segment("start", _rank())
        training.script.begin()
        training.probes.run("facts", self._look_at_loops)

    def _look_at_loops(self) -> None:
        self._training.script.look_at_loops(self._training.lane.loader)


def _rank() -> int:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank()
    return int(os.environ.get("RANK", "0"))
