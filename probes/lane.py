"""The short way of an ordinary unsampled step, and what it shares with the long one.

Between the operations of a model the caches are full of the model's data, so every line of Python and every object
touched costs several times what it does in a tight loop: the long way (``watch.py``) takes 8 us with warm caches and
62 us in a training step of 560 us, this one 4 and 46. Most steps are alike, and for these the hooks do no more than is
needed to make the record: a backward pass, or several, each of the values of some loss calls, or of arithmetic of the
script's own; then one step of an optimizer, or of as many as step together.

``stage`` says which of these is due (``stages.py``). Whatever else happens first calls ``leave``, which tells the watch
what the step has seen so far, and the step goes on the long way. That way alone knows what anything unusual means.
"""

from __future__ import annotations

from time import perf_counter, time
from typing import Any

import torch

from . import nested
from .admission import Admission
from .groups import NAN, rates
from .making import by_the_clock
from .source import caller
from .stages import (
    BACKWARD,
    CALLS,
    INSIDE,
    LOSS,
    MORE,
    PASSES,
    STEP,
    STEPPING,
    TAKEN,
    TOTAL,
    Said,
    leads,
)  # fmt: skip

REDUCTIONS = ("reduction", "size_average", "reduce")
"""Keywords that say how a loss call reduces the losses of its elements; without one it takes their mean."""


class Lane(Admission):
    """One per process, known to the hooks."""

    __slots__ = ()

    def patch(self, stage: int, name: str, original: Any, told: Any, other: Any, failed: Any) -> Any:
        """In C (patch.c): what stands for ``original``, which is called in ``stage`` and known as ``name``. Of what the
        lane does not take ``told(value, args, kwargs)`` is told, or before a backward pass ``told(tensors, ...)`` and
        ``other(found, ...)`` after it, or of an optimizer's step ``told(optimizer, args, kwargs)``; of a loss call that
        raised an exception, and of a loader's end, ``other(None, args, kwargs)``; of a pass ``told(module, args,
        kwargs)``, where ``other`` is whether the module is an outermost one; of a batch that does not follow on the
        last one ``told(iterator, ...)``. ``failed(error, about)`` takes their errors."""
        return None

    # what the hooks call in their stage; False: it is not what was expected

    @by_the_clock
    def loss(self, name: str, function: Any, args: Any, kwargs: Any, value: Any) -> bool:
        if type(value) is not torch.Tensor or not value.is_cpu or value.numel() != 1:
            return False
        node, calls, site = value.grad_fn, self._calls, -1
        if self.stage == BACKWARD and calls[-1].node is node:
            return True  # under a mode of torch functions (a default device) it is called once more inside itself
        if node is None or not self._call_is_due():
            return False
        if self._plan.sites and (self._plan.terms is not None or self._routine is not None):
            site = self._plan.sites.get((name, caller()[1]), -1)
            if site < 0 or len(self._taken) + len(calls) >= TAKEN:
                return False
        number = value.item()
        if number - number != 0.0:
            return False
        calls.append(Said((name, function, args, kwargs), number, node, site))
        self.stage = BACKWARD
        return True

    def _call_is_due(self) -> bool:
        if self.stage == BACKWARD:
            return self._plan.many and self._routine is None and len(self._calls) < CALLS
        return self._pass_is_due()

    def _pass_is_due(self) -> bool:
        """Or a loss call before it."""
        if self.stage == STEP:
            return self._plan.many and not self._done and self._routine is None and self.passes < PASSES
        return self.stage == LOSS

    @by_the_clock
    def backward(self, tensors: Any) -> bool:
        values = self._expected(tensors)
        if values is None:
            return False
        calls, target = self._calls, None
        if calls:
            name, _, args, kwargs = calls[0].call
            if self._routine is not None:
                self._routine.begins(name, args, kwargs)
                if self.stage != BACKWARD:
                    return False
            target = args[1] if len(args) > 1 else kwargs.get("target")
        self.target = target
        self.backwards += 1
        self.passes += 1
        self._loss += values[0]
        self._root += values[1]
        if self.fresh:
            self.fresh = False
            self.batches += 1
            self.trained_on = self.loader
            self.rows += nested.rows(self.batch)
        elif self.loader is None:
            self.rows += nested.rows(target)
        self._taken += [(said.site, said.number) for said in calls if said.site >= 0]
        if self._looks is not None:  # else the graph dies as early as it would
            self._trained, self._node = calls[0] if calls else None, tensors.grad_fn
        self._calls = []
        self.stage = INSIDE
        return True

    def _expected(self, root: Any) -> tuple[float, float] | None:
        """Of what is trained on, made as in the steps before: the value of its loss and its own."""
        calls = self._calls
        if type(root) is not torch.Tensor:
            return None
        node = root.grad_fn
        if len(calls) == 1 and node is calls[0].node:
            return calls[0].number, calls[0].number
        if self._routine is not None or node is None or not root.is_cpu or root.numel() != 1:
            return None
        if not (leads(node, [said.node for said in calls]) if calls else self._pass_is_due()):
            return None
        value = root.item()
        if value - value != 0.0:
            return None
        return (value, value) if len(calls) != 1 else self._of_one(calls[0], value)

    def _of_one(self, said: Said, value: float) -> tuple[float, float] | None:
        """The same where ``value`` is made of that of one call and of more."""
        _, _, args, kwargs = said.call
        if (len(args) <= 2 and kwargs.keys().isdisjoint(REDUCTIONS)) or self.form == MORE:
            return said.number, value
        if self.form != TOTAL or said.number == value:
            return None
        self._summed = True
        return value, value

    @by_the_clock
    def steps(self, optimizer: torch.optim.Optimizer) -> bool:
        if self.stage != STEP:
            return False
        turn = next((place for place, one in enumerate(self._plan.optimizers) if one() is optimizer), -1)
        if turn < 0 or (self._done and turn == self.first):
            return False
        if self._routine is not None:
            self._routine.before()
            if self.stage != STEP:
                return False
        self.turn = turn
        self.stage = STEPPING
        if self._looks is not None and self._routine is None:
            self._canary()
        return True

    def stepped(self, optimizer: torch.optim.Optimizer) -> bool:
        """The step is over: publish it. What follows from that is no part of it by the clock."""
        began = perf_counter() if self.timed else NAN
        if self.stage != STEPPING:
            return False
        if self._done + 1 < self._plan.together:
            self._one_of_several()
            return True
        values = [rate for one in self._plan.optimizers for rate in rates(one())]
        if len(values) != self._groups or self._groups + (4 if self.loader is None else 6) != self._fields:
            return False
        routine = self._routine
        if routine is not None:
            routine.after()
            if self.stage != STEPPING:
                return False
        ended, when = perf_counter(), time()
        seconds = ended - self.ended
        self.step = step = self.step + 1
        self.ended = ended
        self.stage = LOSS
        loader = self.loader
        if loader is None:
            values += (self.rows or NAN, seconds)
        else:
            values += (self.rows or NAN, seconds, self.epoch, self.wait)
            self.wait = 0.0
        self.rows = 0
        loss = self._loss if self._summed else self._loss / self.passes
        self._emit.numbers(self._plan.schema, step, when, loss, self._root / self.passes, *values)
        if self._taken and self._plan.terms is not None:
            self._emit.numbers(self._plan.terms, step, when, *self._plan.averages(self._taken))
        if routine is not None:
            self._routine = None
            routine.write(step, when)
        if not self._done:
            self.first = self.turn
        self.accumulates = self.passes > 1
        if self._looks is not None:
            self._looks.call = None
        self._forget_step()
        if self.timed:
            self.spent += perf_counter() - began
        if step >= self._until:
            self._due(step)
        if self._coming is not None and step + 1 == self._at:
            self.arm()
        return True

    def _one_of_several(self) -> None:
        """The others step next."""
        if not self._done:
            self.first = self.turn
        self._done += 1
        self.stage = STEP
