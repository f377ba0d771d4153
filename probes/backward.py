"""Backward passes: what each was for."""

from __future__ import annotations

from time import time
from typing import Any

import torch

from . import batch, nested, reduction
from .clock import UNSTEPPED
from .closing import Closing
from .linkage import Linkage, leaves
from .look import look, look_written
from .loss import Term, Value, scalar
from .nonfinite import NonFinite
from .pending import Pending
from .policy import Policy
from .sample import Sample
from .segments import Segments
from .stages import CALL, MORE, OWN, TOTAL
from .training import Training

_functorch = torch._C._functorch
OPENING = 4
"""Steps at the beginning of a pass over the training loader whose labels are noted, in their order."""


class Backward:
    def __init__(
        self, training: Training, pending: Pending, nonfinite: NonFinite, segments: Segments, closing: Closing
    ) -> None:
        self._training = training
        self._pending = pending
        self._nonfinite = nonfinite
        self._segments = segments
        self._closing = closing
        self._linkage = Linkage(training)
        self._policy = Policy(training)
        self._transformed = 0
        """Passes of torch.func so far."""
        self._trained: list[torch.Tensor] = []
        """What the pass under way brings gradients to, where no optimizer says what is trained."""

    def begins(self, tensors: Any) -> None:
        """torch.autograd.backward is called on ``tensors``."""
        training, lane = self._training, self._training.lane
        if training.deaf or training.busy:
            return
        lane.leave()
        if not training.awake:
            self._segments.wake()
        self._segments.passes_back()
        self._closing.close_waiting()
        if training.micro and not training.clock.stepping:
            training.probes.run("voided", self._void)
        sample = training.sample
        if sample is not None and training.model is not None and not (training.micro or training.clock.backwards):
            model = training.model
            training.probes.run("stale", lambda: sample.stale(model))
        root = tensors if isinstance(tensors, torch.Tensor) else tensors[0]
        node, pending = root.grad_fn, self._pending.terms
        if len(pending) == 1 and node is not None and pending[0].sequence == node._sequence_nr():
            terms, form = pending[:], CALL
            value = at_root = pending[0].value
            pending.clear()
            if value is None:
                value = at_root = scalar(root)
        else:
            terms = self._pending.consumed(node)
            at_root = scalar(root)
            value = terms[0].value if len(terms) == 1 else None
            form = MORE if value is not None else CALL if terms else OWN
            if value is not None and value != at_root and reduction.of(terms[0]) == "sum":
                training.summed, value, form = True, None, TOTAL
            if value is None:
                value = training.unscaled if training.unscaled is not None else at_root
            training.unscaled = None
        training.lane.form = form
        training.layers.written.own = form == OWN
        if sample is not None and training.clock.by_backward and node is not None:
            self._trained = list((leaves(node) or {}).values())
        self._counts(terms, node, value, at_root)

    def _void(self) -> None:
        """No gradient is there when a further pass of a step begins: what the earlier ones gave was cleared before a
        step used it. They moved a sample along its own gradient, found the weights of SAM's second pass, or came to a
        loss that the script threw away, and are no part of this step. Not of a distributed job: what shards or
        offloads gradients keeps them elsewhere."""
        training, lane = self._training, self._training.lane
        groups = [group for optimizer in training.script.optimizers() for group in optimizer.param_groups]
        shared = torch.distributed.is_available() and torch.distributed.is_initialized()
        if shared or not groups or any(p.grad is not None for group in groups for p in group["params"]):
            return
        lane.backwards -= training.micro
        training.micro = training.clock.backwards = 0
        training.summed = False
        training.terms.taken.clear()
        if lane.loader is None:
            lane.rows = 0
        training.voids = True

    def trains(self, outputs: Any, inputs: Any) -> bool:
        """Is torch.autograd.grad of ``outputs`` by ``inputs`` that of one loss by what is trained? With an optimizer
        that is parameters: an adversarial example is not trained."""
        of = outputs if isinstance(outputs, torch.Tensor) else outputs[0] if len(outputs) == 1 else None
        by = [inputs] if isinstance(inputs, torch.Tensor) else inputs
        kind = torch.nn.Parameter if self._training.script.optimizers() else torch.Tensor
        if not isinstance(of, torch.Tensor) or of.numel() != 1:
            return False
        return any(isinstance(each, kind) and each.is_leaf and each.requires_grad for each in by)

    def transformed(self, grads: Any, value: torch.Tensor) -> None:
        """torch.func.grad gave ``grads`` of a function that came to ``value``; under vmap one of each sample.

        Not where a backward pass follows, whose loss these are part of (the derivatives of a solution, by its inputs).
        """
        training, lane = self._training, self._training.lane
        if _functorch.is_batchedtensor(value):
            value = _functorch.get_unwrapped(value).mean()
        followed = lane.backwards > self._transformed or (value.requires_grad and training.script.optimizers())
        if training.deaf or training.busy or _functorch.is_functorch_wrapped_tensor(value) or followed:
            return
        lane.leave()
        if not training.awake:
            self._segments.wake()
        self._segments.passes_back()
        self._closing.close_waiting()
        self._pending.consumed(None)
        self._transformed += 1
        number = scalar(value)
        self._counts([], None, number, number)
        self.ended(grads)

    def _counts(self, terms: list[Term], node: Any, value: Value | None, at_root: Value | None) -> None:
        """A backward pass: the losses it is for, and what they were made from."""
        training, lane, clock = self._training, self._training.lane, self._training.clock
        if training.micro and clock.stepping and not lane.fresh:
            return  # a closure evaluated again (L-BFGS): its first loss counts
        found: list[tuple[list[Term], Term | None]] = []
        if not terms:
            training.probes.run("written", lambda: found.append(training.layers.written.taken(node, at_root)))
        written, alike = found[0] if found else ([], None)
        term = terms[0] if terms else None
        training.terms.take(terms)
        if value is not None and at_root is not None:
            training.loss = value if not training.micro else training.loss + value
            training.root = at_root if not training.micro else training.root + at_root
            training.micro += 1
        if training.sample is not None or training.layers.state == "call":  # else the graph dies as early as it would
            training.term, training.node = term or alike, node
        training.probes.run("facts", lambda: training.script.passes_back(lane.step, clock.stepping != 0))
        self._count(term)
        if training.micro <= 1:
            self._labels(next(iter(terms or written), None))
        if type(value) is float and value - value != 0.0 and self._nonfinite.alarm.armed:
            self._nonfinite.loss(term, node, value)
        calls = terms if alike is None else [alike]
        training.probes.run("linkage", lambda: self._linkage.see(node, calls))
        sample = training.sample
        if sample is not None and node is not None:
            training.probes.run("policy", lambda: self._policy.begins(node, sample))
        if sample is not None and not sample.looked:
            look(training, sample, terms)
            look_written(training, sample, written, alike is not None)
            if calls and training.script.loss is None:
                training.probes.run("facts", lambda: training.script.loss_called(calls[0]))

    def _labels(self, term: Term | None) -> None:
        """Of thorough samples and, that one pass over the data can be compared with the next, where one begins."""
        training = self._training
        opening, training.opening = training.opening, max(0, training.opening - 1)
        sample = training.sample
        if term is not None and (opening or (sample is not None and sample.thorough)):
            emit, step = training.emit, training.lane.step + 1
            publish = lambda columns: emit.columns("labels", step, time(), columns)  # noqa: E731
            training.probes.run("labels", lambda: batch.labels(term, training.fetch, publish))

    def _count(self, term: Term | None) -> None:
        """The batch and its samples, once however many passes it takes."""
        training, lane, loaders = self._training, self._training.lane, self._training.loaders
        lane.target = term.target if term is not None else None
        lane.backwards += 1
        if lane.fresh:
            lane.fresh = False
            lane.batches += 1
            if lane.trained_on is not lane.loader:
                training.opening = OPENING
                if lane.loader is not None:
                    lane.epoch = loaders.epoch(lane.loader, lane.trained_on, lane.epoch)
            lane.trained_on = lane.loader
            lane.rows += nested.rows(lane.batch)
        elif loaders.ahead:
            loaders.ahead -= 1
            lane.batches += 1
            lane.rows += nested.rows(lane.batch)
        elif lane.loader is None and term is not None:
            lane.rows += nested.rows(term.target)

    def ended(self, gave: Any = None) -> None:
        """It ``gave`` gradients, or put them where they belong."""
        training = self._training
        if training.busy:
            return
        clock = training.clock
        clock.backwards += 1
        sample = training.sample
        if sample is not None:
            training.probes.run("policy", self._policy.ends)
        if sample is not None and clock.by_backward:
            trained, self._trained = self._trained, []
            found = [tensor.grad for tensor in trained] if gave is None else gave
            training.probes.run("gradients", lambda: self._gradients(sample, found))
        if sample is not None and training.lane.accumulates and training.micro == 1 and training.skipped is None:
            training.probes.run("noise", lambda: sample.first_pass(training.lane.rows))
        if (clock.by_backward or (clock.backwards >= UNSTEPPED and clock.never_stepped())) and not training.deaf:
            self._closing.close()

    def _gradients(self, sample: Sample, gradients: Any) -> None:
        """Their norm, where no optimizer is there to use them."""
        parts = [part for part in nested.tensors(gradients) if not _functorch.is_functorch_wrapped_tensor(part)]
        if parts:
            norm = torch.cat([part.detach().reshape(-1) for part in parts]).norm()
            self._training.fetch([norm], lambda arrays: sample.put("grad.norm", arrays[0]))
