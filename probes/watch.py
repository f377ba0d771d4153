"""One watch per process: what the hooks tell it, step by step, until a record goes out.

It sleeps until the first backward pass and opens nothing before. A *step* ends with the optimizer's step; several
optimizers that step after one backward pass (a parameter split) end it together, while a GAN, whose optimizers step
after a backward pass each, makes a step with each. Without an optimizer a step ends with the backward pass.
"""

from __future__ import annotations

import atexit
import os
import sys
import traceback
import weakref
from time import perf_counter, time
from typing import Any

import torch

from nnwatch.metric import Field

from .emit import Emitter, Schema
from .fetch import Fetch
from .loss import Term, Value, consumed, mean, scalar
from .probe import Probes
from .sampler import Sampler

NAN = float("nan")
PENDING = 4
"""Loss calls whose tensors are kept while it is open whether training consumes them."""
UNSTEPPED = 64
"""Backward passes without an optimizer step after which the passes themselves count as steps."""


class Watch:
    """The state of this process's training. ``settings`` as in the boot folder's settings.json."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self.probes = Probes(self._report)
        self.modules: weakref.WeakValueDictionary[int, torch.nn.Module] = weakref.WeakValueDictionary()
        self.optimizers: weakref.WeakValueDictionary[int, torch.optim.Optimizer] = weakref.WeakValueDictionary()
        self._reset()
        os.register_at_fork(after_in_child=self._forked)
        atexit.register(self._exit)

    def _reset(self) -> None:
        settings = self._settings
        self._emit = Emitter(settings["rings"], settings["ring_bytes"])
        self._budget = float(settings["budget"])
        self._fetch = Fetch()
        self.awake = False
        self.compiled = False
        self.inside_backward = False
        self.optimizer_calls = 0
        self._optimizer: Any = None
        self._passes: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._running: weakref.WeakKeyDictionary[Any, tuple[Any, int]] = weakref.WeakKeyDictionary()
        self._iterator: Any = None
        self._loader: Any = None
        self._pass = 0
        self._batch: Any = None
        self._begin()

    def _begin(self) -> None:
        """Counters of a fresh segment."""
        self.step = 0
        self._sampler = Sampler(self._budget)
        self._pending: list[Term] = []
        self._unscaled: tuple[int, Value] | None = None
        self._losses: list[Value] = []
        self._roots: list[Value] = []
        self._samples = 0
        self._wait = 0.0
        self._epoch = 0
        self._backwards = 0
        self._skipped: int | None = None
        self._round: list[int] = []
        self._expected = 1
        self._ended: float | None = None
        self._by_backward = False
        self._schema: Schema | None = None
        self._groups = 0
        self._disturbed = False

    # what the hooks tell

    def module_made(self, module: torch.nn.Module) -> None:
        self.modules[id(module)] = module

    def optimizer_made(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizers[id(optimizer)] = optimizer

    def compiling(self) -> None:
        self.compiled = True

    def loader_began(self, loader: Any, iterator: Any) -> None:
        """A pass over a loader begins. Nothing is kept alive by it: an iterator may hold worker processes."""
        number = self._passes.get(loader, 0) + 1
        self._passes[loader] = number
        self._running[iterator] = (weakref.ref(loader), number)

    def batch(self, iterator: Any, batch: Any, seconds: float) -> None:
        if self._iterator is None or self._iterator() is not iterator:
            self._iterator = weakref.ref(iterator)
            self._loader, self._pass = self._running.get(iterator, (None, 0))
        self._batch = batch
        self._wait += seconds

    def loss(self, name: str, function: Any, args: Any, kwargs: Any, value: torch.Tensor) -> None:
        """A loss function was called."""
        if not value.requires_grad:
            return
        node = value.grad_fn
        if node is not None:
            term = Term(name, function, args, kwargs, scalar(value), node._sequence_nr())
            term.loader = self._loader
            self._pending.append(term)
            if len(self._pending) > PENDING:
                del self._pending[0]

    def scaled(self, outputs: Any) -> None:
        """GradScaler.scale: the number before scaling is the loss, the root of backward is not."""
        if self._skipped is None:
            self._skipped, self._schema = 0, None
        if isinstance(outputs, torch.Tensor) and outputs.grad_fn is not None:
            value = scalar(outputs)
            if value is not None:
                self._unscaled = (outputs.grad_fn._sequence_nr(), value)

    def skipped(self) -> None:
        """The scaler found infinities: no step was taken, and the batch taught nothing."""
        self._skipped = (self._skipped or 0) + 1
        self._losses.clear()
        self._roots.clear()
        self._samples = 0

    def before_backward(self, tensors: Any) -> None:
        if not self.awake:
            self._wake()
        root = tensors if isinstance(tensors, torch.Tensor) else tensors[0]
        if self._round:
            if len(self._round) < self._expected:
                self._expected = len(self._round)
                self._close()
            self._round.clear()
        self._backwards += 1
        pending = self._pending
        if not pending:
            terms = []
        elif len(pending) == 1 and root.grad_fn is not None and pending[0].sequence == root.grad_fn._sequence_nr():
            terms = pending
        else:
            terms = consumed(root, pending)
        self._pending = []
        value = terms[0].value if len(terms) == 1 else None
        at_root = value if terms is pending and value is not None else scalar(root)
        if at_root is not None:
            self._roots.append(at_root)
        if value is None:
            value = self._unscaled[1] if self._unscaled is not None else at_root
        self._unscaled = None
        if value is not None:
            self._losses.append(value)
        self._samples += self._rows(terms)

    def _rows(self, terms: list[Term]) -> int:
        """Samples of this micro-batch: rows of the loader's batch, else of the loss's target."""
        batch = self._batch
        while isinstance(batch, list | tuple) and batch:
            batch = batch[0]
        if isinstance(batch, dict):
            batch = next(iter(batch.values()), None)
        if isinstance(batch, torch.Tensor) and batch.dim():
            return batch.shape[0]
        target = terms[0].target if terms else None
        return target.shape[0] if target is not None and target.dim() else 0

    def after_backward(self) -> None:
        if self._by_backward:
            self._close()
        elif self._backwards >= UNSTEPPED and self.optimizer_calls == 0:
            self._by_backward = True

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer_calls += 1
        if not self.awake:
            self._wake()

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        if id(optimizer) in self._round:
            self._round.clear()
        self._round.append(id(optimizer))
        if len(self._round) == self._expected:
            self._close()
        else:
            self._expected = max(self._expected, len(self._round))

    # a step

    def _wake(self) -> None:
        self.awake = True
        self._by_backward = not self.optimizers
        self._emit.open_segment("start", int(os.environ.get("RANK", "0")))

    def _close(self) -> None:
        """The step is over: publish it."""
        self.step += 1
        ended = perf_counter()
        rates = [float(group["lr"]) for group in self._optimizer.param_groups] if self._optimizer is not None else []
        if self._schema is None or len(rates) != self._groups:
            self._groups = len(rates)
            self._schema = self._step_schema()
        values = [*rates, float(self._samples or NAN), ended - self._ended if self._ended is not None else NAN]
        if self._loader is not None:
            values += [float(self._pass), self._wait]
        if self._skipped is not None:
            values.append(float(self._skipped))
        self._publish(self._schema, self.step, time(), mean(self._losses), mean(self._roots), values)
        self._losses.clear()
        self._roots.clear()
        self._samples, self._wait, self._ended = 0, 0.0, ended

    def _publish(self, schema: Schema, step: int, when: float, loss: Value, root: Value, values: list[float]) -> None:
        """One step record; in the order of the steps also when a loss is still on its way from a device."""
        if isinstance(loss, float) and isinstance(root, float) and not self._fetch.waiting:
            self._emit.numbers(schema, step, when, loss, root, *values)
            return
        tensors = [torch.as_tensor(value, device="cpu") for value in (loss, root)]
        self._fetch(
            tensors, lambda arrays: self._emit.numbers(schema, step, when, *(float(a) for a in arrays), *values)
        )

    def _step_schema(self) -> Schema:
        fields = [Field("loss.train"), Field("loss.root")]
        if self._groups:
            fields.append(Field("lr", self._groups))
        fields += [Field("batch.size"), Field("step.seconds")]
        if self._loader is not None:
            fields += [Field("epoch"), Field("data.wait")]
        if self._skipped is not None:
            fields.append(Field("step.skipped"))
        return self._emit.schema("step", tuple(fields))

    # the ends

    def _report(self, probe: str, error: str) -> None:
        self._emit.event("probe.failed", self.step, {"probe": probe, "error": error})

    def _forked(self) -> None:
        self._emit.forget()
        self._reset()

    def _exit(self) -> None:
        """At the end of the interpreter: what is still under way, why the script ended, and a clean mark."""
        try:
            self._fetch.poll()
            error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
            if error is not None:
                text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
                self._emit.event(
                    "exception",
                    self.step,
                    {"type": type(error).__name__, "message": str(error), "traceback": text[-8000:]},
                )
            self._emit.close()
        except Exception as problem:
            self.probes.failed("exit", problem)
