"""One watch per process: what the hooks tell it, until a step is over.

It sleeps until the first backward pass and opens nothing before; a bounded part of what came earlier is kept, as the
initial loss matters. What it learns is kept in `training.py`; `pending.py` says which loss calls training consumes,
`backward.py` what a backward pass was for, `stepping.py` what the optimizers do, `clock.py` when a step is over,
`closing.py` what happens then, `segments.py` where a training begins.
"""

from __future__ import annotations

import atexit
import os
import weakref
from typing import Any

import torch

from . import ending
from .backward import Backward
from .checkpoints import Checkpoints
from .closing import Closing
from .lane import Lane
from .layers import Layers
from .loss import Term, scalar
from .nonfinite import NonFinite
from .once import Once
from .pending import Pending
from .probe import Probes
from .repeats import Repeats
from .sampler import Sampler
from .seeds import Seeds
from .segments import Segments
from .stages import INSIDE, STEPPING, Left
from .stepping import Stepping
from .training import Training
from .user import User

NEWS = (2, 3)
"""Passes over the training loader at whose beginning the facts are looked over."""
COMPILED = "torch.compile: layers are not looked into; with --compiled-layers they are, on steps that run uncompiled"


class Watch:
    """``settings`` as in the boot folder's settings.json; the others as they were in the process from its start."""

    def __init__(self, settings: dict[str, Any], lane: Lane, probes: Probes, seeds: Seeds) -> None:
        self.lane = lane
        self.probes = probes
        self._training = self.training = training = Training(settings, lane, probes)
        self.script = training.script
        self.distributions = training.distributions
        self.loaders = training.loaders
        self.user = User(training)
        self.pending = Pending(training)
        self._nonfinite = NonFinite(training)
        repeats = Repeats(training)
        self.checkpoints = Checkpoints(lambda name, data: training.emit.event(name, self.step, data))
        self.once = Once(training, self.checkpoints, seeds)
        called = self.once.module_called
        self.segments = Segments(training, self.pending, self._nonfinite, self.checkpoints, called)
        self.discovery = self.segments.discovery
        closing = Closing(training, self.pending, self._nonfinite, repeats)
        self.backward = Backward(training, self.pending, self._nonfinite, self.segments, closing)
        self.stepping = Stepping(training, self._nonfinite, self.segments, repeats, closing)
        lane.serve(self._left, closing.due, self._nonfinite.look)
        self._reset()
        os.register_at_fork(after_in_child=self._forked)
        atexit.register(self.exit)

    def _reset(self) -> None:
        self._phase = ""
        self._value: weakref.ref[torch.Tensor] | None = None
        """That a loss function gave last where nothing is trained; under a mode of torch functions (a default device)
        it is called once more inside itself."""
        self._training.reset()
        self.segments.reset()
        self.pending.begin()
        self._nonfinite.begin()

    @property
    def step(self) -> int:
        """Optimizer steps made in this segment."""
        return self.lane.step

    @property
    def sampled(self) -> bool:
        """Is the step that is being made looked at closely?"""
        return self._training.sample is not None or self._training.routine is not None

    @property
    def layers(self) -> Layers:
        return self._training.layers

    @property
    def sampler(self) -> Sampler:
        return self._training.sampler

    # data

    def optimizer_made(self, optimizer: torch.optim.Optimizer) -> None:
        self.lane.leave()
        self.script.optimizer_made(optimizer)
        self.segments.optimizer_made(optimizer)
        if not (self._training.awake or self.script.compiled):
            self.discovery.begin()

    def module_made(self, module: torch.nn.Module) -> None:
        self._training.modules[id(module)] = module
        self.once.module_made(module)

    def module_found(self, module: torch.nn.Module) -> None:
        """One that was made before the probes were there."""
        self._training.modules[id(module)] = module

    def compiling(self) -> None:
        """torch.compile is used: from now on no hook on any module; it would be baked into a graph or break it."""
        if not (self.script.compiled or self._training.stance.wanted):
            self._training.emit.event("notice", self.step, {"text": COMPILED})
        self.script.compiled = True
        self.discovery.end()
        self.layers.remove()

    def exporting(self) -> None:
        """A module is traced or scripted, hooks and all."""
        self.discovery.end()
        self.layers_off()

    def layers_off(self) -> None:
        """A module is being pickled, copied or exported: until the next step no hook is on it."""
        try:
            if self.layers.state != "none":
                self.lane.leave()
                self.layers.remove()
            self._training.stance.take(eager=False)
        except Exception as error:
            self.probes.failed("activations", error)

    def pass_begins(self, iterator: Any) -> None:
        """A batch comes from another iterator than the last one did."""
        self.lane.leave()
        self.lane.iterator = weakref.ref(iterator)
        self.lane.loader = loader = self.loaders.of(iterator)
        self.loaders.ahead = 0
        known = self.lane.trained_on
        if loader is not None and known is not None and loader.loader is known.loader and loader.number in NEWS:
            self._training.tell()
        if loader is not None and self.lane.backwards and (known is None or loader.loader is not known.loader):
            self.evaluation_begins()

    def phase(self, name: str, after: int | None = None) -> None:
        """A framework says that it goes over to "train" or "val", or did so ``after`` so many steps."""
        if name != self._phase:
            self._phase = name
            self._training.emit.event("phase", self.step if after is None else after, {"name": name})

    def evaluation_begins(self, module: torch.nn.Module | None = None) -> None:
        """By the looks of it: ``module`` goes to eval mode, or a batch comes from another loader than training's."""
        try:
            self.pending.evaluation.noticed(module)
        except Exception as error:
            self.probes.failed("validation", error)

    # losses

    def loss(self, name: str, function: Any, args: Any, kwargs: Any, value: torch.Tensor) -> None:
        """A loss function was called."""
        training, pending, alarm = self._training, self.pending, self._nonfinite.alarm
        if training.deaf or training.busy or self.lane.inside_backward or not isinstance(value, torch.Tensor):
            return
        self.lane.leave()
        node = value.grad_fn
        if node is None:
            again, self._value = self._value is not None and self._value() is value, weakref.ref(value)
            if not again and (not torch.is_grad_enabled() or not pending.trains()):
                inputs = self.layers.other or self.layers.call
                term = Term(name, function, args, kwargs, None, 0, None, inputs)
                pending.validate(term, value, gradients=torch.is_grad_enabled())
            return
        number = scalar(value)
        term = pending.called((name, function, args, kwargs), number, node)
        if type(number) is float and number - number != 0.0 and training.awake and alarm.armed and pending.trains():
            self._nonfinite.loss(term, node, number)

    def refused(self, name: str, function: Any, args: Any, kwargs: Any) -> None:
        """A loss function raised an exception."""
        if not self._training.deaf and not self._training.busy:
            self.lane.leave()
            self._nonfinite.refused(Term(name, function, args, kwargs, None, 0, None))

    def _left(self, left: Left) -> None:
        """A step leaves the lane and goes on the long way: what it has seen so far."""
        training = self._training
        routine, training.routine = training.routine, None
        if routine is not None:
            training.sample = routine.leave(left.stage)
        training.went_in_lane(left.done)
        if left.passes:
            training.micro, training.loss, training.root, training.summed = (
                left.passes,
                left.loss,
                left.root,
                left.summed,
            )
            training.node = left.node
            if left.trained is not None:
                call, number, node, _ = left.trained
                training.term = Term(*call, number, node._sequence_nr(), self.lane.loader)
            training.terms.taken_in_lane(left.taken)
            training.clock.backwards = 0 if left.done else left.passes - (left.stage == INSIDE)
        if left.stage == STEPPING and training.last is not None:
            training.clock.stepping = id(training.last())
        for call, number, node, site in left.pending:
            self.pending.add(call, number, node, training.terms.sites[site] if site >= 0 else None)

    # the ends

    def _forked(self) -> None:
        """In the child: what the parent put on its modules is taken off, and its ring is not ours."""
        self.exporting()
        self._training.emit.forget()
        self._reset()

    def exit(self) -> None:
        """At the end of the interpreter: what is still under way, why the script ended, and a clean mark."""
        training = self._training
        if not training.awake or not training.emit.on:
            return
        try:
            self.lane.leave()
            self.pending.give_up()
            training.fetch.poll()
            if (error := ending.exception()) is not None:
                self.probes.run("exit", self._nonfinite.raised)
                training.emit.event("exception", self.step, error)
            training.emit.close()
        except KeyboardInterrupt:  # Ctrl+C once more: what is missing now is not worth a traceback of ours
            training.emit.close()
        except Exception as problem:
            self.probes.failed("exit", problem)
