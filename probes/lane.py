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

import functools
from collections.abc import Callable, Mapping
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from . import nested
from .groups import NAN, rates
from .source import Place, caller
from .stages import (
    BACKWARD,
    CALL,
    CALLS,
    CLOSED,
    INSIDE,
    LOSS,
    MORE,
    PASSES,
    STEP,
    STEPPING,
    TAKEN,
    TOTAL,
    Left,
    Said,
    leads,
)  # fmt: skip

if TYPE_CHECKING:
    import weakref

    from .emit import Emitter, Schema
    from .layers import Layers
    from .loaders import Pass
    from .routine import Routine

REDUCTIONS = ("reduction", "size_average", "reduce")
"""Keywords that say how a loss call reduces the losses of its elements; without one it takes their mean."""


class Plan(NamedTuple):
    """What the coming steps are like: their optimizers, of which ``together`` step after the same backward pass;
    whether ``many`` passes may come before, and many loss calls before a pass. ``sites`` has the numbers of the lines
    that call a loss function, by its name and the place, and ``terms`` is the schema of their record where there are
    several. ``small`` is the parameter whose gradient is looked at in each step of which the calls are kept."""

    schema: Schema
    optimizers: tuple[weakref.ref[torch.optim.Optimizer], ...]
    together: int
    many: bool
    terms: Schema | None
    sites: Mapping[tuple[str, Place], int]
    small: weakref.ref[torch.Tensor] | None


def _by_the_clock(hook: Callable[..., bool]) -> Callable[..., bool]:
    """In a step whose hooks are measured the time is taken."""

    @functools.wraps(hook)
    def clocked(self: Lane, *args: Any) -> bool:
        if not self.timed:
            return hook(self, *args)
        began = perf_counter()
        found = hook(self, *args)
        self.spent += perf_counter() - began
        return found

    return clocked


class Lane:
    """One per process, known to the hooks. The public fields are the state of the step that is being made, on either
    way. It is closed until ``open``, and before that ``serve`` says whom it tells.
    """

    __slots__ = (
        "_at",
        "_calls",
        "_canary",
        "_coming",
        "_done",
        "_due",
        "_emit",
        "_fields",
        "_groups",
        "_left",
        "_looks",
        "_loss",
        "_node",
        "_plan",
        "_root",
        "_routine",
        "_summed",
        "_taken",
        "_trained",
        "_until",
        "accumulates",
        "backwards",
        "batch",
        "batches",
        "ended",
        "epoch",
        "first",
        "form",
        "fresh",
        "inside_backward",
        "iterator",
        "loader",
        "passes",
        "rows",
        "spent",
        "stage",
        "step",
        "target",
        "timed",
        "trained_on",
        "turn",
        "wait",
    )

    def __init__(self) -> None:
        self.reset()

    def serve(self, left: Callable[[Left], None], due: Callable[[int], None], canary: Callable[[], None]) -> None:
        """``left`` takes what a step leaves with, ``due(step)`` decides after a step that another may follow,
        ``canary()`` looks at a gradient."""
        self._left = left
        self._due = due
        self._canary = canary

    def reset(self) -> None:
        """Nothing of an earlier process."""
        self.inside_backward = False
        self.forget_batch()
        self.begin()

    def forget_batch(self) -> None:
        """The last batch is not for training, which may use no loader."""
        self.iterator: weakref.ref[Any] | None = None
        self.loader: Pass | None = None
        """The pass over a loader that the last batch came from."""
        self.batch: Any = None
        self.fresh = False
        """The batch has not been trained on yet."""

    def begin(self) -> None:
        """Nothing of an earlier segment."""
        self.stage = CLOSED
        self.form = CALL
        """As the long way saw it last."""
        self.step = 0
        """Optimizer steps made."""
        self.backwards = 0
        self.batches = 0
        """Batches of a loader that were trained on."""
        self.rows = 0
        self.wait = 0.0
        """Seconds that this step has waited for its batches."""
        self.ended = NAN
        """perf_counter at the end of the last step."""
        self.timed = False
        """The time that the hooks of this step take is measured."""
        self.spent = 0.0
        """Seconds of it so far."""
        self.target: torch.Tensor | None = None
        """Of the loss call that was last trained on."""
        self.trained_on: Pass | None = None
        self.epoch = 0
        """Of the pass that was last trained on."""
        self.turn = self.first = -1
        """The optimizer that stepped last in the lane, or is stepping, and of those that step together the one that
        stepped first when that was last over, by their places in the plan; -1 for none."""
        self.accumulates = False
        """The last step in the lane took several backward passes."""
        self._looks: Layers | None = None
        self._routine: Routine | None = None
        self._coming: Routine | None = None
        self._forget_step()

    def _forget_step(self) -> None:
        """Nothing of an earlier step."""
        self.passes = 0
        """Backward passes that this step has begun in the lane."""
        self._done = 0
        self._loss = self._root = 0.0
        self._summed = False
        self._taken: list[tuple[int, float]] = []
        self._calls: list[Said] = []
        self._trained: Said | None = None
        self._node: Any = None

    def open(
        self, emit: Emitter, plan: Plan, until: int, looks: Layers | None, coming: Routine | None, at: int
    ) -> None:
        """The coming step may take it, with records like the last one's. The rest is as of ``again``."""
        self._emit = emit
        self._plan = plan
        self._fields, self._groups = widths(plan.schema)
        self.turn = self.first = -1
        self._forget_step()
        self.again(until, looks, coming, at)
        self.stage = LOSS

    def again(self, until: int, looks: Layers | None, coming: Routine | None, at: int) -> None:
        """The coming step may take it too, after one that did. After step ``until`` there is something else to do. With
        ``looks`` each step's calls are kept, for an autopsy; ``coming`` samples step ``at``."""
        self._until = until
        self._looks = looks
        self._coming = coming
        self._at = at

    def arm(self) -> None:
        """The coming step is sampled by the routine."""
        self._routine, self._coming = self._coming, None
        if self._routine is None:
            return
        armed = self._routine.arm()
        if armed is None:
            self.leave()
        else:
            self._looks = armed[0]

    def leave(self) -> None:
        """The step goes on the long way."""
        stage, self.stage = self.stage, CLOSED
        self._coming = None
        if stage != CLOSED:
            self._routine = None
            left = Left(
                stage, tuple(self._calls), self._trained, self._node, self.passes, self._loss, self._root,
                self._summed, tuple(self._taken), self._done,
            )  # fmt: skip
            self._forget_step()
            self._left(left)

    def pass_over(self) -> None:
        """In C (pass.c): a pass that a routine sample looks into is left as it is over."""

    def publish(self, schema: int, record: bytearray) -> None:
        """Another record of the step that has just ended, already packed; its schema by id."""
        self._emit.record(schema, bytes(record))

    def patch(self, stage: int, name: str, original: Any, told: Any, other: Any, failed: Any) -> Any:
        """In C (patch.c): what stands for ``original``, which is called in ``stage`` and known as ``name``. Of what the
        lane does not take ``told(value, args, kwargs)`` is told, or before a backward pass ``told(tensors, ...)`` and
        ``other(found, ...)`` after it, or of an optimizer's step ``told(optimizer, args, kwargs)``; of a loss call that
        raised an exception, and of a loader's end, ``other(None, args, kwargs)``; of a pass ``told(module, args,
        kwargs)``, where ``other`` is whether the module is an outermost one; of a batch that does not follow on the
        last one ``told(iterator, ...)``. ``failed(error, about)`` takes their errors."""
        return None

    # what the hooks call in their stage; False: it is not what was expected

    @_by_the_clock
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

    @_by_the_clock
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

    @_by_the_clock
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
            self._write_terms(self._plan.terms, step, when)
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

    def _write_terms(self, schema: Schema, step: int, when: float) -> None:
        """As of ``Terms.publish``."""
        found: list[list[float]] = [[] for _ in range(widths(schema)[0])]
        for site, value in self._taken:
            found[site].append(value)
        self._emit.numbers(schema, step, when, *(sum(values) / len(values) if values else NAN for values in found))


def widths(schema: Schema) -> tuple[int, int]:
    """Numbers in a record, and learning rates among them."""
    rates = next((field.width for field in schema.fields if field.metric == "lr"), 0)
    return sum(field.width for field in schema.fields), rates
