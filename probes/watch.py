"""One watch per process: what the hooks tell it, step by step, until a record goes out.

It sleeps until the first backward pass and opens nothing before; a bounded part of what came earlier is kept, as the
initial loss matters. `clock.py` says when a step is over.
"""

from __future__ import annotations

import atexit
import os
import sys
import traceback
import weakref
from collections import deque
from collections.abc import Callable
from time import perf_counter, time
from typing import Any

import torch

from . import inputs
from .alarm import Alarm
from .autopsy import Case
from .clock import UNSTEPPED, Clock
from .emit import Column, Emitter
from .fetch import Fetch
from .lane import BACKWARD, STEP, STEPPING, Call, Lane, Left
from .layers import Layers
from .loaders import Loaders, Pass
from .loss import Term, Value, consumed, scalar
from .model import Model
from .probe import Probes
from .sample import Sample
from .sampler import LONG, Sampler
from .script import Script
from .steps import NAN, Steps
from .validation import Validation

PENDING = 4
"""Loss calls kept while it is open whether training consumes them."""
EARLY = 256
"""Validation batches kept from before the first backward pass."""
CANARY = 4096
"""Elements, at most, of the gradient that is looked at on every step."""
TRACEBACK = 8000
"""Characters kept of a traceback, the last ones."""
NEWS = (1, 2, 10, 100)
"""Steps after which the facts are looked over; they are also after the first validation batch."""


class Watch:
    """The state of this process's training. ``settings`` as in the boot folder's settings.json."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self.probes = Probes(self._switched_off)
        self.modules: weakref.WeakValueDictionary[int, torch.nn.Module] = weakref.WeakValueDictionary()
        self.script = Script()
        self.loaders = Loaders()
        self.lane = Lane(self._left, self._due, self._look_at_canary)
        self._reset()
        os.register_at_fork(after_in_child=self._forked)
        atexit.register(self._exit)

    def _reset(self) -> None:
        """Asleep, with nothing of an earlier process or ring."""
        self._emit = Emitter(self._settings["rings"], self._settings["ring_bytes"])
        self._fetch = Fetch()
        self.layers = Layers(self._fetch, lambda error: self.probes.failed("activations", error))
        self.awake = False
        self.deaf = False
        self.optimizer_calls = 0
        self._early: deque[tuple[float, list[Column]]] = deque(maxlen=EARLY)
        self.lane.reset()
        self._begin()

    def _begin(self) -> None:
        """Everything that belongs to one segment."""
        self.lane.begin()
        self._clock = Clock()
        self.sampler = Sampler(float(self._settings["budget"]))
        self._sample: Sample | None = Sample(self._fetch, self._emit)
        self._validation = Validation(self._fetch)
        self._validated_at = -1
        self._model: Model | None = None
        self._optimizers: list[weakref.ref[torch.optim.Optimizer]] = []
        self._last: Any = None
        self._canary: Any = None
        self._pending: list[Term] = []
        self._term: Term | None = None
        self._node: Any = None
        self._unscaled: Value | None = None
        self._micro = 0
        self._loss: Value = NAN
        self._root: Value = NAN
        self._skipped: int | None = None
        self._disturbed = False
        self._steps = Steps(self._emit, self._fetch)
        self.alarm = Alarm(
            lambda step, data: self._emit.event("nonfinite", step, data),
            lambda error: self.probes.failed("autopsy", error),
        )

    @property
    def step(self) -> int:
        """Optimizer steps made in this segment."""
        return self.lane.step

    @property
    def sampled(self) -> bool:
        """Is the step that is being made looked at closely?"""
        return self._sample is not None

    # data

    def module_made(self, module: torch.nn.Module) -> None:
        self.modules[id(module)] = module

    def compiling(self) -> None:
        """torch.compile is used: from now on no hook on any module; it would be baked into a graph or break it."""
        self.script.compiled = True
        self.layers.remove()

    def layers_off(self) -> None:
        """A module is being pickled, copied or exported: until the next step no hook is on it."""
        try:
            if self.layers.state != "none":
                self.lane.leave()
                self.layers.remove()
        except Exception as error:
            self.probes.failed("activations", error)

    def pass_begins(self, iterator: Any) -> None:
        """A batch comes from another iterator than the last one did."""
        self.lane.leave()
        self.lane.iterator = weakref.ref(iterator)
        self.lane.loader = self.loaders.of(iterator)

    # losses

    def loss(self, name: str, function: Any, args: Any, kwargs: Any, value: torch.Tensor) -> None:
        """A loss function was called."""
        if self.deaf or self.alarm.busy or self.lane.inside_backward or not isinstance(value, torch.Tensor):
            return
        self.lane.leave()
        node = value.grad_fn
        if node is None:
            if not torch.is_grad_enabled() or not self._training():
                self._validate(Term(name, function, args, kwargs, None, 0, None), value)
            return
        number = value.item() if value.is_cpu and value.dim() == 0 else scalar(value)
        term = self._pend((name, function, args, kwargs), number, node)
        if type(number) is float and number - number != 0.0 and self.awake and self.alarm.armed and self._training():
            self._term, self._node = term, node
            self.alarm.loss(self._case, self.step + 1, number)

    def _pend(self, call: Call, number: Value | None, node: Any) -> Term:
        """It is open whether training consumes it."""
        term = Term(*call, number, node._sequence_nr(), self.lane.loader)
        self._pending.append(term)
        if len(self._pending) > PENDING:
            self._unconsumed(self._pending.pop(0))
        return term

    def _training(self) -> bool:
        roots = self._model.roots if self._model is not None else []
        return not roots or roots[0].training

    def _trains(self, loader: Pass | None) -> bool:
        """Is this a pass over the loader that training last learned from?"""
        known = self.lane.trained_on
        return loader is not None and known is not None and loader.loader is known.loader

    def _unconsumed(self, term: Term) -> None:
        """No backward pass came to it: a validation batch with gradients on, or a loss that is only looked at."""
        other = term.loader is not None and not self._trains(term.loader)
        if (other or not self._training()) and term.value is not None:
            self._validate(term, torch.as_tensor(term.value))

    def _validate(self, term: Term, value: torch.Tensor) -> None:
        seen, trained = term.target, self.lane.target
        if seen is not None and trained is not None and seen.data_ptr() == trained.data_ptr():
            return  # the training batch once more: a metric
        if self.lane.fresh and self._trains(self.lane.loader):
            return  # a pass over the training data, or a metric before the batch is trained on
        self._disturbed = True
        self.script.validated(self.lane.loader)
        step = self.step
        self.probes.run("validation", lambda: self._validation.see(term, value, lambda row: self._validated(step, row)))

    def _validated(self, step: int, columns: list[Column]) -> None:
        if not self.awake:
            self._early.append((time(), columns))
            return
        self._emit.columns("val", step, time(), columns)
        if self._validated_at < 0:
            self._tell()
        self._validated_at = step

    def scaled(self, outputs: Any) -> None:
        """GradScaler.scale: the number before scaling is the loss, the root of backward is not."""
        self.lane.leave()
        self.script.amp = True
        if self._skipped is None:
            self._skipped = 0
        if isinstance(outputs, torch.Tensor):
            self._unscaled = scalar(outputs)

    def skipped(self) -> None:
        """The scaler found infinities: no step was taken, and the batch taught nothing."""
        self._skipped = (self._skipped or 0) + 1
        self._micro = self.lane.rows = 0

    # backward

    def before_backward(self, tensors: Any) -> None:
        if self.deaf or self.alarm.busy:
            return
        self.lane.leave()
        if not self.awake:
            self._wake()
        clock = self._clock
        if clock.waiting and clock.backward_begins():
            self._close()
        root = tensors if isinstance(tensors, torch.Tensor) else tensors[0]
        node, pending = root.grad_fn, self._pending
        if len(pending) == 1 and node is not None and pending[0].sequence == node._sequence_nr():
            term: Term | None = pending[0]
            value = at_root = pending[0].value
            pending.clear()
            if value is None:
                value = at_root = scalar(root)
        else:
            term, value = self._consumed(node)
            at_root = scalar(root)
            if value is None:
                value = self._unscaled if self._unscaled is not None else at_root
            self._unscaled = None
        if self._micro and clock.stepping:  # a closure evaluated again (LBFGS): its first loss counts
            return
        if value is not None and at_root is not None:
            self._loss = value if not self._micro else self._loss + value
            self._root = at_root if not self._micro else self._root + at_root
            self._micro += 1
        if self._sample is not None or self.layers.state == "call":  # else the graph dies as early as it would
            self._term, self._node = term, node
        self.lane.target = term.target if term is not None else None
        self.lane.backwards += 1
        if self.lane.fresh:
            self.lane.fresh = False
            self.lane.batches += 1
            self.lane.trained_on = self.lane.loader
            self.lane.rows += inputs.rows(self.lane.batch)
        elif self.lane.loader is None and term is not None:
            self.lane.rows += inputs.rows(term.target)
        if type(value) is float and value - value != 0.0 and self.alarm.armed:
            self._term, self._node = term, node
            self.alarm.loss(self._case, self.step + 1, value)
        if self._sample is not None:
            self._look_at_batch(self._sample, term)

    def _consumed(self, node: Any) -> tuple[Term | None, Value | None]:
        """The loss call that this backward pass is for, and its value; no value when there are several."""
        pending, self._pending = self._pending, []
        terms = consumed(node, pending)
        if len(terms) != len(pending):
            taken = {term.sequence for term in terms}
            for other in pending:
                if other.sequence not in taken:
                    self._unconsumed(other)
        return (terms[0] if terms else None), (terms[0].value if len(terms) == 1 else None)

    def _look_at_batch(self, sample: Sample, term: Term | None) -> None:
        call = self.layers.call
        if term is not None:
            self.probes.run("confidence", lambda: sample.outputs(term))
            if self.script.loss is None:
                self.probes.run("facts", lambda: self.script.loss_called(term))
        if call is not None:
            self.probes.run("inputs", lambda: inputs.moments("input", call[1:], self._fetch, sample.put))

    def after_backward(self) -> None:
        clock = self._clock
        clock.backwards += 1
        if (clock.by_backward or (clock.backwards >= UNSTEPPED and clock.never_stepped())) and not self.deaf:
            self._close()

    # the optimizer

    def before_clip(self) -> None:
        """Clipping spreads a NaN over every gradient, so one is looked at before."""
        if self.awake:
            self._look_at_canary()

    def clipped(self, norm: torch.Tensor, limit: float) -> None:
        sample = self._sample
        if sample is not None and self.awake:
            self._fetch([norm.reshape(1)], lambda arrays: sample.put("grad.clip.norm", arrays[0]))
            sample.put("grad.clip.max", limit)

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer_calls += 1
        if self.deaf or self.alarm.busy:
            return
        self.lane.leave()
        if not self.awake:
            self._wake()
        if self._last is None or self._last() is not optimizer:
            self._last = weakref.ref(optimizer)
            if not any(ref() is optimizer for ref in self._optimizers):
                self._adopt(optimizer)
        if not self._clock.stepping:
            self._clock.stepping = id(optimizer)
        sample = self._sample
        if sample is not None:
            if self._micro:
                self.probes.run("gradients", lambda: self._gradients(sample, optimizer))
            self.probes.run("weights", lambda: sample.weights_before(optimizer))
        elif self.layers.state == "call":
            self._look_at_canary()

    def _gradients(self, sample: Sample, optimizer: torch.optim.Optimizer) -> None:
        sample.gradients(optimizer)
        if sample.gradient - sample.gradient != 0.0:
            self._gradients_not_finite()

    def _look_at_canary(self) -> None:
        """A NaN in a backward pass reaches the first layer: the sum of a small gradient tells. CPU only: no waiting."""
        parameter = self._canary() if self._canary is not None else None
        gradient = parameter.grad if parameter is not None else None
        if gradient is not None and gradient.is_cpu and not gradient.is_sparse:
            total = gradient.sum().item()
            if total - total != 0.0:
                self._gradients_not_finite()

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        if self.deaf or self.alarm.busy:
            return
        self.lane.leave()
        sample = self._sample
        if sample is not None:
            if not sample.has_gradients:  # a closure: the gradients came inside the step
                self.probes.run("gradients", lambda: self._gradients(sample, optimizer))
            self.probes.run("weights", lambda: sample.weights_after(optimizer))
        if self._clock.step_ends(id(optimizer)):
            self._close()

    # a step is over

    def _close(self) -> None:
        """Publish the step, and decide how closely the next one is looked at."""
        lane = self.lane
        lane.step = step = lane.step + 1
        ended, when = perf_counter(), time()
        seconds, lane.ended = ended - lane.ended, ended
        loss, root, micro = self._loss, self._root, self._micro
        if micro != 1:
            loss, root = (loss / micro, root / micro) if micro else (NAN, NAN)
        waited = (lane.loader, lane.wait) if lane.loader is not None else None
        self._steps.publish(
            step, when, (loss, root), self._optimizers, lane.rows, seconds, waited, self._skipped, self._loss_is_late
        )
        if self._skipped is not None:
            self._skipped = 0
        if not self.alarm.armed and type(loss) is float:
            self.alarm.passed(loss)
        if self._fetch.waiting:
            self.probes.run("fetch", self._fetch.poll)
        if self._sample is not None:
            sample = self._sample
            self.probes.run("sample", lambda: self._finish(sample, step, when))
        self._micro = lane.rows = 0
        lane.wait = 0.0
        self._due(step, seconds)

    def _due(self, step: int, seconds: float) -> None:
        """Decide how closely the step after ``step`` is looked at, and whether it may take the lane."""
        self.lane.leave()
        sampled, self._sample = self._sample is not None, None
        sampler = self.sampler
        if step >= sampler.due and sampler.ended(step, sampled, seconds, self._disturbed):
            self._sample = Sample(self._fetch, self._emit)
            self._sample.model = self._model
        self._disturbed = False
        layers = self.layers
        layers.call = self._term = self._node = None
        state = "all" if self._sample is not None else "call" if sampler.seconds >= LONG else "none"
        if state != layers.state and not self.script.compiled:
            layers.place(state)
        if step in NEWS:
            self._tell()
        if self._sample is None and self._ordinary():
            until = min(n for n in (*NEWS, sampler.due) if n > step)
            looks = layers if state == "call" else None
            self.lane.open(self._emit, self._steps.schema, self._optimizers[0], until, looks)

    def _ordinary(self) -> bool:
        """Is training such that the lane's way to see it is right?"""
        optimizer = self._last() if self._last is not None else None
        return (
            len(self._optimizers) == 1
            and self._optimizers[0]() is optimizer is not None
            and self._clock.alone(id(optimizer))
            and type(self._loss) is float
            and self._skipped is None
            and self.alarm.armed
            and not (self._pending or self._fetch.waiting)
        )

    def _left(self, left: Left) -> None:
        """A step goes on the long way: what it has seen so far."""
        stage, call, node, number = left
        if stage == BACKWARD:
            if call is not None:
                self._pend(call, number, node)
            return
        self._loss = self._root = number
        self._micro = 1
        if call is not None:
            self._term, self._node = Term(*call, number, node._sequence_nr(), self.lane.loader), node
        self._clock.backwards += stage >= STEP
        if stage == STEPPING:
            self._clock.stepping = id(self._last())

    def _finish(self, sample: Sample, step: int, when: float) -> None:
        self.layers.activations.put(sample, self._emit.labels)
        sample.put("watch.every", self.sampler.every)
        if self.sampler.cost is not None:
            sample.put("watch.cost", self.sampler.cost)
        sample.write(step, when)

    def _tell(self) -> None:
        self.probes.run("facts", self._news)

    def _news(self) -> None:
        optimizers = [optimizer for ref in self._optimizers if (optimizer := ref()) is not None]
        lane = self.lane
        news = self.script.news(self._model, optimizers, lane.trained_on, lane.step, lane.backwards, lane.batches)
        if news:
            self._emit.event("facts", self.step, news)

    # segments

    def _wake(self) -> None:
        """The first backward pass, or the first step, of this process."""
        self.awake = True
        self._clock = Clock(by_backward=not self.script.optimizers())
        if not self._emit.open_segment("start", _rank()):
            self.deaf = True  # no ring to be had: nothing is measured in vain
            return
        while self._early:
            when, columns = self._early.popleft()
            self._emit.columns("val", 0, when, columns)
        self.probes.run("facts", self._look_at_loops)

    def _look_at_loops(self) -> None:
        self.script.look_at_loops(self.lane.loader)

    def _adopt(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer steps for the first time: find out what it trains."""
        alive = [ref for ref in self._optimizers if ref() is not None]
        if self._optimizers and not alive and self._model is not None and not self._model.holds(optimizer):
            self._new_segment()
        known = list({id(known): known for known in (*self.script.optimizers(), optimizer)}.values())
        self._optimizers = [weakref.ref(known) for known in known]
        self._model = model = Model(list(self.modules.values()), known)
        self.layers.adopt(model)
        small = [parameter for parameter in model.parameters() if parameter.numel() <= CANARY]
        self._canary = weakref.ref(small[0]) if small else None
        if self._sample is not None:
            self._sample.model = model

    def _new_segment(self) -> None:
        """Another model is trained, by another optimizer, and the old ones are gone: a fold, a trial of a sweep."""
        kept = (self._micro, self._loss, self._root, self.lane.rows, self.lane.wait)
        seen = (self._term, self._node, self.lane.target, self.lane.trained_on)
        self._begin()
        self._micro, self._loss, self._root, self.lane.rows, self.lane.wait = kept
        self._term, self._node, self.lane.target, self.lane.trained_on = seen
        self.lane.backwards = self.lane.batches = 1
        self._emit.open_segment("start", _rank())
        self.script.begin()
        self.probes.run("facts", self._look_at_loops)

    # what is not finite

    def _case(self) -> Case:
        """What is at hand now. It holds the batch and the graph: not to be kept."""
        model = self._model or Model(list(self.modules.values()), self.script.optimizers())
        named = list(zip(model.names, model.parameters(), strict=False))
        return Case(named, self.layers.call, self.lane.batch, self._term, self._node)

    def _loss_is_late(self) -> Callable[[float], None]:
        """The loss of the step that is being closed is still on a device: what to do when it has come."""
        case, step = self._case(), self.step

        def arrived(loss: float) -> None:
            if loss - loss != 0.0:
                self.alarm.loss(lambda: case, step, loss, late=True)

        return arrived

    def _gradients_not_finite(self) -> None:
        self.lane.leave()
        if not self.script.amp:  # a scaler looks for its scale by overflowing
            self.alarm.gradients(self._case, self.step + 1, self._loss if type(self._loss) is float else None)

    # the ends

    def _switched_off(self, probe: str, error: str) -> None:
        self._emit.event("probe.failed", self.step, {"probe": probe, "error": error})

    def _forked(self) -> None:
        """In the child: what the parent put on its modules is taken off, and its ring is not ours."""
        self.layers_off()
        self._emit.forget()
        self._reset()

    def _exit(self) -> None:
        """At the end of the interpreter: what is still under way, why the script ended, and a clean mark."""
        if not self.awake or self.deaf:
            return
        try:
            self.lane.leave()
            for term in self._pending:
                self._unconsumed(term)
            self._fetch.poll()
            error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
            if error is not None:
                text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
                data = {"type": type(error).__name__, "message": str(error), "traceback": text[-TRACEBACK:]}
                self._emit.event("exception", self.step, data)
            self._emit.close()
        except Exception as problem:
            self.probes.failed("exit", problem)


def _rank() -> int:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank()
    return int(os.environ.get("RANK", "0"))
