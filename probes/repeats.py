"""The step's own pass made again: after the step (did it help on its own batch?), in eval mode, with other inputs.

Rarely, as a pass costs a third of a step: a few times among the first steps, where learning rates are judged, then as
often as a tenth of the overhead budget allows. Only where nothing of it can be felt: one process, one optimizer, no
compiled model, no hooks of the user's on modules, a forward pass that only computes (`effects.py`). The first pass of
a segment has to give the loss of the step itself again; else there is none after it.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, thread_time, time
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as _module

from . import effects
from .emit import Column
from .layers import Call, versions
from .loss import Term
from .model import Model
from .nested import tensors
from .objective import Objective, objective
from .replay import cloned, inner
from .sampler import REPEATS
from .sequence import beginning, exchanged
from .training import Training
from .undo import foreign, undone

EARLY = (2, 4, 8, 12, 16, 20)
"""Steps of a segment whose gain is measured."""
WHOLE = (4, 16)
"""Those of them with the passes in eval mode too."""
LEAST = 50
"""Steps between them, at least."""
SAME = 1e-3
"""How far the loss of the repeated pass may be from that of the step, relative: kernels that add in any order."""
ALONE = 3
"""Inputs of a model that are permuted one by one, at most."""
LABELS = ("label", "labels", "target", "targets", "y")
"""Arguments of a model that are no inputs."""


class Repeats:
    def __init__(self, training: Training) -> None:
        self._training = training
        self._begin(None)

    def _begin(self, model: Model | None) -> None:
        """Nothing of an earlier model."""
        self._model = model
        self.share = 0.0
        """Part of the step's time that the passes take."""
        self._next = EARLY[-1] + LEAST
        self._possible: bool | None = None
        self._also: list[Any] = []
        self._checked = False
        self._loss: Objective | None = None
        self._columns: list[Column] = []

    def wanted(self, step: int) -> bool:
        """Is the pass of ``step``, which is sampled, to be made again?"""
        if self._training.model is not self._model:
            self._begin(self._training.model)
        step -= self._training.first
        return self._possible is not False and (step in EARLY or step >= self._next)

    @property
    def _step(self) -> int:
        """The one that is being made, counted from the beginning of the segment."""
        return self._training.lane.step - self._training.first + 1

    def before(self) -> None:
        """The weights are still those of the step's own pass."""
        training, self._loss, self._columns = self._training, None, []
        call, term, output = training.layers.call, training.term, training.layers.output
        if output is None or call is None or term is None or not self._usable(call, term):
            return
        self._loss = objective(output, term)
        if self._loss is None:
            return
        if not self._checked:
            self._check(call, term, self._loss)
        if not self._checked:  # it is not the same, or the values are still on their way
            self._loss = None
        elif self._step in WHOLE or self._step > EARLY[-1]:
            self._whole(call, term)

    def _check(self, call: Call, term: Term, loss: Objective) -> None:
        """Is the loss of the pass made again that of the step?"""
        again = self._again(call, loss)
        if again is None:
            return
        value = torch.as_tensor(term.value, device=again.device, dtype=again.dtype)

        def compare(arrays: Any) -> None:
            one, other = (float(number) for number in arrays[0])
            self._checked = abs(one - other) <= SAME * abs(other)
            self._possible = self._checked

        self._training.fetch([torch.stack([again, value])], compare)

    def _whole(self, call: Call, term: Term) -> None:
        loss = self._loss
        evaluated = self._again(call, loss, training=False) if loss is not None else None
        if loss is None or evaluated is None:
            return
        self._put("loss.train.eval", evaluated)
        step = self._training.lane.step
        permuted = permutation(call, term, loss.inside, step)
        if permuted is not None and (other := self._again(permuted, loss, training=False)) is not None:
            self._put("loss.permuted", other)
            self._alone(call, term, loss, step)
        if self._step in WHOLE and (changed := exchanged(call, term)) is not None:
            self._ahead(call, *changed)

    def _alone(self, call: Call, term: Term, loss: Objective, step: int) -> None:
        """Each of several inputs permuted by itself; those that are alike for all samples are left out."""
        calls = [one for only in range(ALONE) if (one := permutation(call, term, loss.inside, step, only)) is not None]
        if len(calls) < 2:
            return
        found = [self._again(one, loss, training=False) for one in calls]
        if all(value is not None for value in found):
            columns = self._columns
            values = torch.stack([value for value in found if value is not None])
            put = lambda arrays: columns.append(("loss.permuted.alone", 0, arrays[0]))  # noqa: E731
            self._training.fetch([values], put)

    def _ahead(self, call: Call, changed: Call, outputs: int) -> None:
        """Do the first outputs of a sequence change with its end?"""
        rows = next(len(part) for part in tensors([call.args, call.kwargs]) if part.dim())
        first = lambda output: beginning(output, rows, outputs)  # noqa: E731
        as_it_is, otherwise = self._again(call, first, training=False), self._again(changed, first, training=False)
        if as_it_is is not None and otherwise is not None and as_it_is.numel() > 1:
            self._put("output.future", (as_it_is - otherwise).abs().amax() / as_it_is.std())

    def after(self) -> None:
        """The step has been made."""
        training, loss, self._loss = self._training, self._loss, None
        call, term = training.layers.call, training.term
        if loss is None or call is None or term is None or term.value is None:
            return
        began = thread_time()
        after = self._again(call, loss)
        if after is None:
            return
        before = torch.as_tensor(term.value, device=after.device, dtype=after.dtype)
        self._put("step.gain", (before - after) / before.abs())
        step, sampler, columns = training.lane.step + 1, training.sampler, self._columns
        training.fetch([], lambda _: training.emit.columns("repeat", step, time(), columns))
        if self._step >= EARLY[-1] and sampler.seconds:
            cost = 3 * max(thread_time() - began, sampler.seconds / 3)
            every = max(LEAST, round(cost / (REPEATS * sampler.budget * sampler.seconds)))
            self._next, self.share = self._step + every, cost / (every * sampler.seconds)

    def _put(self, metric: str, value: torch.Tensor) -> None:
        columns = self._columns
        self._training.fetch([value.reshape(1)], lambda arrays: columns.append((metric, 0, float(arrays[0][0]))))

    # whether, and how

    def _usable(self, call: Call, term: Term) -> bool:
        training = self._training
        if self._possible is None:
            self._possible = self._harmless(call)
        once = training.micro == 1 and training.layers.calls == 1
        once = once and versions(call.args, call.kwargs) == training.layers.versions
        return self._possible and once and term.value is not None and len(training.optimizers) == 1

    def _harmless(self, call: Call) -> bool:
        training = self._training
        model, script = training.model, training.script
        if model is None or len(model.roots) != 1 or model.roots[0] is not call.module:
            return False
        if script.compiled or (torch.distributed.is_available() and torch.distributed.is_initialized()):
            return False
        if _module._global_forward_hooks or _module._global_forward_pre_hooks:
            return False
        root = call.module
        if any(foreign(hook) and not _own(hook) for part in root.modules() for hook in _hooks(part)):
            return False
        try:
            inner(root)
            self._also = effects.watched(root)
        except Exception:  # it must not be made twice, or cannot
            return False
        return True

    def _again(self, call: Call, loss: Callable[[Any], torch.Tensor], training: bool = True) -> torch.Tensor | None:
        """The loss of another pass, or what else is made of its output; None, and no pass after it, when it could be
        felt or cannot be made."""
        root, lane, began = call.module, self._training.lane, perf_counter()
        self._training.disturbed = True
        try:
            with self._training.ours(), undone(root, call.begun, self._also) as traces, torch.no_grad():
                if not training:
                    for part in root.modules():
                        vars(part)["training"] = False
                value = loss(root(*cloned(call.args), **cloned(call.kwargs))).detach()
        except Exception:  # the user's own, raised in a pass of ours
            self._possible = False
            return None
        finally:
            lane.ended += perf_counter() - began  # the time is not the step's
        if traces.left or (value.dim() and isinstance(loss, Objective)):
            self._possible = False
            return None
        return value


def permutation(call: Call, term: Term, inside: bool, seed: int, only: int | None = None) -> Call | None:
    """The same call with its inputs, or ``only`` one of them, permuted among the samples, by random numbers of its own;
    labels stay.

    None where samples cannot be told: no batch, or time comes before the batch.
    """
    if any(getattr(part, "batch_first", True) is False for part in call.module.modules()):
        return None
    first = next((tensor for tensor in tensors([call.args, call.kwargs]) if tensor.dim()), None)
    if first is None or first.shape[0] < 2:
        return None
    rows = first.shape[0]
    cycle = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    order = torch.empty_like(cycle)
    order[cycle] = cycle.roll(1)  # no sample stays where it is
    if first.is_cuda:
        order = order.pin_memory().to(first.device, non_blocking=True)
    target = term.target.data_ptr() if term.target is not None else None
    labels = inputs = alike = 0

    def moved(value: Any, name: str | None = None) -> Any:
        nonlocal labels, inputs, alike
        if isinstance(value, torch.Tensor):
            if name in LABELS or value.data_ptr() == target:
                labels += 1
                return value
            if not value.dim() or value.shape[0] != rows:
                return value
            inputs += 1
            if only is not None and only != inputs - 1:
                return value
            changed = value[order]
            alike += only is not None and value.is_cpu and torch.equal(changed, value)
            return changed
        if type(value) in (list, tuple):
            return type(value)(moved(part) for part in value)
        return {key: moved(part, key) for key, part in value.items()} if type(value) is dict else value

    args, kwargs = moved(call.args), moved(call.kwargs)
    missing = not inputs or (only is not None and only >= inputs)
    return None if missing or alike or (inside and not labels) else Call(call.module, args, kwargs, call.begun)


def _hooks(part: nn.Module) -> list[Callable[..., Any]]:
    return [*part._forward_hooks.values(), *part._forward_pre_hooks.values()]


def _own(hook: Any) -> bool:
    return str(getattr(hook, "__module__", "")).startswith("nnwatch.")
