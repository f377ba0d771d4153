"""Where one uninterrupted training begins: with the first backward pass, and with one that goes on from other weights.

A step belongs to the training before it unless one of these is known: an optimizer made since then steps on parameters
that none has trained yet, or on ones that were given new values (a fold, a trial of a sweep); weights and optimizer
were both loaded again; the cell of a notebook was run again.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn

from . import epochs
from .checkpoints import Checkpoints, steps_taken
from .clock import Clock
from .discovery import Discovery
from .model import Model
from .nonfinite import NonFinite
from .pending import Pending
from .source import Line, lines
from .training import Training

Reason = Literal["start", "another", "again", "resume"]
"""Why a segment begins: training starts, another model is trained, a cell is run again, a checkpoint was loaded."""


class Segments:
    """``called(module)`` is told of the calls of modules in the first forward pass."""

    def __init__(
        self,
        training: Training,
        pending: Pending,
        nonfinite: NonFinite,
        checkpoints: Checkpoints,
        called: Callable[[nn.Module], None],
    ) -> None:
        self._training = training
        self._pending = pending
        self._nonfinite = nonfinite
        self.discovery = Discovery(
            training.script.optimizers, self._meet, called, lambda error: training.probes.failed("activations", error)
        )
        self._known: set[int] = set()
        """Optimizers by id() that the model was found from."""
        self._checkpoints = checkpoints
        self.reset()

    def reset(self) -> None:
        """Nothing of an earlier process."""
        self._past: weakref.WeakSet[torch.optim.Optimizer] = weakref.WeakSet()
        """Optimizers of earlier segments."""
        self._loading: tuple[int, list[int], list[Line]] = 0, [], []
        """When weights were last loaded (the step after which it was), which (their id()), and where."""
        self._begin()

    def _begin(self) -> None:
        self._late: weakref.WeakSet[torch.optim.Optimizer] = weakref.WeakSet()
        """Optimizers made since this segment's first step."""
        self._renewed = -1
        """Step after which trained weights were last given new values."""
        self._restored = -1
        """Step after which an optimizer was last given another state."""
        self._look: int | None = None
        """The coming backward pass shows the loops of this segment; the one before it ended with this step."""
        self._turn: Reason | None = None
        """The coming backward pass begins a segment."""

    def wake(self) -> None:
        """The first backward pass, or the first step, of this process."""
        training = self._training
        training.awake = True
        self.discovery.end()
        optimizers = training.script.optimizers()
        training.clock = Clock(by_backward=not optimizers)
        first = self._checkpoints.first_step(optimizers)
        training.begin_after(first)
        if not training.emit.open_segment("resume" if first else "start", _rank(), first):
            training.deaf = True
        self._look = 0

    # what may come before a new segment

    @property
    def turns(self) -> bool:
        """Does the coming backward pass begin a segment?"""
        return self._turn is not None

    @property
    def _under_way(self) -> bool:
        return self._training.awake and self._training.lane.step > self._training.first

    def optimizer_made(self, optimizer: torch.optim.Optimizer) -> None:
        if self._under_way:
            self._late.add(optimizer)

    def initialised(self, parameter: Any) -> None:
        """A function of torch.nn.init filled a tensor."""
        model = self._training.model
        if model is not None and id(parameter) in model.index and self._under_way:
            self._renewed = self._training.lane.step

    def weights_loaded(self, module: nn.Module, left: Any) -> None:
        """module.load_state_dict() was called, and gave the keys that are ``left`` on either side."""
        self._checkpoints.weights_loaded(module, left)
        loaded = [id(parameter) for parameter in module.parameters()]
        model = self._training.model
        self._loading = self._training.lane.step, loaded, lines()
        if model is not None and self._under_way and any(number in model.index for number in loaded):
            self._renewed = self._training.lane.step
            self._turn_if_restored()

    def optimizer_loaded(self, optimizer: torch.optim.Optimizer) -> None:
        """optimizer.load_state_dict() was called."""
        self._checkpoints.optimizer_loaded(optimizer)
        if self._under_way and any(ref() is optimizer for ref in self._training.optimizers):
            self._restored = self._training.lane.step
            self._turn_if_restored()

    def _turn_if_restored(self) -> None:
        if self._renewed == self._restored == self._training.lane.step:
            self._training.lane.leave()
            self._turn = "resume"

    def cell_begins(self) -> None:
        """A cell of a notebook is run; if it trains, what it trains is told apart from what came before."""
        if self._under_way and self._turn is None:
            self._training.lane.leave()
            self._turn = "again"

    # where it may begin

    def passes_back(self) -> None:
        """A backward pass begins: the first of a segment, or of what may become one."""
        if self._turn is not None:
            self._take_turn(self._turn)
        if self._look is not None:
            step, self._look = self._look, None
            self._training.probes.run("facts", lambda: self._look_at_loops(step))

    def _take_turn(self, reason: Reason) -> None:
        training = self._training
        made = [optimizer for optimizer in training.script.optimizers() if optimizer in self._late]
        trained = [optimizer for ref in training.optimizers if (optimizer := ref()) is not None]
        if any(self._is_another(optimizer) for optimizer in made) or not trained:
            self._open("another", 0)
        else:
            loaded = reason == "resume"
            self._open(reason, self._checkpoints.first_step(trained) if loaded else training.lane.step)

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

    def _is_another(self, optimizer: torch.optim.Optimizer) -> bool:
        """Does an optimizer train what no other has trained, or what was given new values?"""
        training = self._training
        if optimizer not in self._late or training.model is None:
            return False
        return self._renewed == training.lane.step or not training.model.holds(optimizer)

    def _adopt(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer steps for the first time: find out what it trains."""
        training = self._training
        if self._is_another(optimizer):
            self._open("another", steps_taken([optimizer]) or 0)
        self._past.discard(optimizer)
        present = [known for known in training.script.optimizers() if known not in self._past]
        known = list({id(known): known for known in (*present, optimizer)}.values())
        training.optimizers = [weakref.ref(known) for known in known]
        if training.model is None or self._known != {id(known) for known in known}:
            self._know(known)

    def _open(self, reason: Reason, first: int) -> None:
        """Begin a segment whose first step is ``first`` + 1, with what is known of that step already."""
        training = self._training
        lane = training.lane
        late = self._late
        step = lane.step
        self._past.update(known for known in training.script.optimizers() if known not in late)
        if reason != "another":  # the same optimizers go on
            self._past.difference_update([known for ref in training.optimizers if (known := ref()) is not None])
        kept = (training.micro, training.loss, training.root, lane.rows, lane.wait)
        seen = (training.term, training.node, lane.target, lane.trained_on)
        terms = self._pending.terms
        training.begin(first)
        self._pending.begin()
        self._pending.terms = terms
        self._nonfinite.begin()
        self._begin()
        training.micro, training.loss, training.root, lane.rows, lane.wait = kept
        training.term, training.node, lane.target, lane.trained_on = seen
        first_pass = lane.loader if lane.fresh else lane.trained_on
        if first_pass is not None:
            lane.epoch = training.loaders.epoch(first_pass, None, 0)
        if training.micro:
            lane.backwards = lane.batches = 1
        training.emit.open_segment(reason, _rank(), first)
        training.script.begin()
        self._look = step

    def _look_at_loops(self, step: int) -> None:
        """``step`` of the segment before is the one after which this segment begins."""
        training, script = self._training, self._training.script
        when, loaded, where = self._loading
        present = (known for known in script.optimizers() if known not in self._past)
        trained = {id(p) for optimizer in present for group in optimizer.param_groups for p in group["params"]}
        begun = when == step and not trained.isdisjoint(loaded)
        loader = training.lane.loader
        script.look_at_loops(loader, where if begun else [])
        saved = self._checkpoints.epoch(script.optimizers())
        if training.emit.segment == 0 and (training.first or saved is not None):
            training.loaders.passed = epochs.passed(training.first, loader.batches if loader else None, saved)


def _rank() -> int:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank()
    return int(os.environ.get("RANK", "0"))
