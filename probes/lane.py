"""The short way of an ordinary unsampled step, and what it shares with the long one.

Between the operations of a model the caches are full of the model's data, so every line of Python and every object
touched costs several times what it does in a tight loop: the long way (``watch.py``) takes 8 us with warm caches and
62 us in a training step of 560 us, this one 4 and 46. Most steps are alike, and for these the hooks do no more than is
needed to make the record: one loss call, or none, what ``backward`` is called on made of its value as in the steps
before (``form``), then one step of the one optimizer.

``stage`` says which of these is due. Whatever else happens first calls ``leave``, which tells the watch what the step
has seen so far, and the step goes on the long way. That way alone knows what anything unusual means.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from . import nested
from .groups import NAN, rates
from .native import native

if TYPE_CHECKING:
    import weakref

    from .emit import Emitter, Schema
    from .layers import Layers
    from .loaders import Pass
    from .routine import Routine

CLOSED, LOSS, BACKWARD, INSIDE, STEP, STEPPING = range(6)
"""Stages: the long way; a loss call is due; a backward pass is due; it runs; the optimizer's step is due; it runs."""
ENTRY, NEXT = 6, 7
"""No stages, but what a hook before a forward pass, and what gives a loader's batches, are patched as."""
CALL, MORE, TOTAL, OWN = range(4)
"""Forms of what is trained on: the value of the loss call; that and more (a penalty, a factor); the same, where the
call only adds up (reduction="sum"), so that its value is no loss of a step; no loss call, but arithmetic of the
script's own."""
DEPTH = 64
"""Nodes looked at, at most, between what is trained on and the value of the loss call."""


Call = tuple[str, Callable[..., torch.Tensor], tuple[Any, ...], dict[str, Any]]
"""A loss call: name, function, args, kwargs."""


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


class Left(NamedTuple):
    """What a step had seen when it left the lane in ``stage``. ``call`` is None where there was none or it is no longer
    needed; ``node`` of the graph made its value, ``number``, or after the backward pass began what that began at,
    ``root``."""

    stage: int
    call: Call | None
    node: Any
    number: float
    root: float


class Lane:
    """One per process, known to the hooks. The public fields are the state of the step that is being made, on either
    way. It is closed until ``open``, and before that ``serve`` says whom it tells.
    """

    __slots__ = (
        "_at",
        "_call",
        "_canary",
        "_coming",
        "_due",
        "_emit",
        "_fields",
        "_groups",
        "_left",
        "_looks",
        "_node",
        "_number",
        "_optimizer",
        "_root",
        "_routine",
        "_schema",
        "_until",
        "backwards",
        "batch",
        "batches",
        "ended",
        "epoch",
        "form",
        "fresh",
        "inside_backward",
        "iterator",
        "loader",
        "rows",
        "spent",
        "stage",
        "step",
        "target",
        "timed",
        "trained_on",
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
        self._call: Call | None = None
        self._node: Any = None
        self._number = self._root = NAN
        self._looks: Layers | None = None
        self._routine: Routine | None = None
        self._coming: Routine | None = None

    def open(
        self,
        emit: Emitter,
        schema: Schema,
        optimizer: weakref.ref[torch.optim.Optimizer],
        small: weakref.ref[torch.Tensor] | None,
        until: int,
        looks: Layers | None,
        coming: Routine | None,
        at: int,
    ) -> None:
        """The coming step may take it, with records like the last one's. For an autopsy the gradient of ``small`` is
        looked at in each step with ``looks``. The rest is as of ``again``."""
        self._emit = emit
        self._schema = schema
        self._fields, self._groups = _widths(schema)
        self._optimizer = optimizer
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
        if stage > LOSS or self._routine is not None:
            self._routine = None
            left = Left(stage, self._call, self._node, self._number, self._root)
            self._call = self._node = None
            self._left(left)

    def publish(self, schema: int, record: bytearray) -> None:
        """Another record of the step that has just ended, already packed; its schema by id."""
        self._emit.record(schema, bytes(record))

    def patch(self, stage: int, name: str, original: Any, told: Any, other: Any, failed: Any) -> Any:
        """In C (patch.c): what stands for ``original``, which is called in ``stage`` and known as ``name``. Of what the
        lane does not take ``told(value, args, kwargs)`` is told, or before a backward pass ``told(tensors, ...)`` and
        ``other(found, ...)`` after it, or of an optimizer's step ``told(optimizer, args, kwargs)``; of a loss call that
        raised an exception ``other(None, args, kwargs)``; of a pass ``told(module, args, kwargs)``, where ``other`` is
        whether the module is an outermost one; of a batch that does not follow on the last one
        ``told(iterator, ...)``. ``failed(error, about)`` takes their errors."""
        return None

    # what the hooks call in their stage; False: it is not what was expected

    @_by_the_clock
    def loss(self, name: str, function: Any, args: Any, kwargs: Any, value: Any) -> bool:
        if self.stage != LOSS or type(value) is not torch.Tensor or not value.is_cpu or value.numel() != 1:
            return False
        self._node = node = value.grad_fn
        if node is None:
            return False
        self._number = number = value.item()
        if number - number != 0.0:
            return False
        self._call = name, function, args, kwargs
        self.stage = BACKWARD
        return True

    @_by_the_clock
    def backward(self, tensors: Any) -> bool:
        call, target = self._call, None
        if not self._expected(tensors):
            return False
        if call is not None:
            args = call[2]
            if self._routine is not None:
                self._routine.begins(call[0], args, call[3])
                if self.stage != BACKWARD:
                    return False
            target = args[1] if len(args) > 1 else call[3].get("target")
        self.target = target
        self.backwards += 1
        if self.fresh:
            self.fresh = False
            self.batches += 1
            self.trained_on = self.loader
            self.rows = nested.rows(self.batch)
        elif self.loader is None:
            self.rows = nested.rows(target)
        if self._looks is None:  # the graph dies as early as it would
            self._call = self._node = None
        self.stage = INSIDE
        return True

    def _expected(self, root: Any) -> bool:
        """Is this what is trained on, made as in the steps before?"""
        if type(root) is not torch.Tensor:
            return False
        if self.stage == BACKWARD and root.grad_fn is self._node:
            self._root = self._number
            return True
        due = LOSS if self.form == OWN else BACKWARD
        if self.stage != due or self.form == CALL or self._routine is not None:
            return False
        node = root.grad_fn
        if node is None or not root.is_cpu or root.numel() != 1 or (due == BACKWARD and not leads(node, self._node)):
            return False
        self._root = number = root.item()
        if number - number != 0.0:
            return False
        self._node = node
        if self.form != MORE:
            self._number = number
        return True

    @_by_the_clock
    def steps(self, optimizer: torch.optim.Optimizer) -> bool:
        if self.stage != STEP or self._optimizer() is not optimizer:
            return False
        if self._routine is not None:
            self._routine.before()
            if self.stage != STEP:
                return False
        self.stage = STEPPING
        if self._looks is not None and self._routine is None:
            self._canary()
        return True

    def stepped(self, optimizer: torch.optim.Optimizer) -> bool:
        """The step is over: publish it. What follows from that is no part of it by the clock."""
        began = perf_counter() if self.timed else NAN
        if self.stage != STEPPING:
            return False
        values = rates(optimizer)
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
        if self._looks is not None:
            self._looks.call = self._call = self._node = None
        loader = self.loader
        if loader is None:
            values += (self.rows or NAN, seconds)
        else:
            values += (self.rows or NAN, seconds, self.epoch, self.wait)
            self.wait = 0.0
        self.rows = 0
        self._emit.numbers(self._schema, step, when, self._number, self._root, *values)
        if routine is not None:
            self._routine = None
            routine.write(step, when)
        if self.timed:
            self.spent += perf_counter() - began
        if step >= self._until:
            self._due(step)
        if self._coming is not None and step + 1 == self._at:
            self.arm()
        return True


def leads(node: Any, wanted: Any) -> bool:
    """Is ``wanted`` among the nodes that ``node`` was made from?"""
    queue = [node]
    for node in queue:
        if node is wanted:
            return True
        for below, _ in node.next_functions:
            if below is not None and len(queue) < DEPTH:
                queue.append(below)
    return False


def _widths(schema: Schema) -> tuple[int, int]:
    """Numbers in a record, and learning rates among them."""
    rates = next((field.width for field in schema.fields if field.metric == "lr"), 0)
    return sum(field.width for field in schema.fields), rates


def _native() -> type[Lane]:
    """Lane in C (lane.c): all that is public is the same, and it publishes the same bytes."""
    assert native is not None
    base: Any = native.lane_type(nested.rows, Left)

    class Native(base):  # type: ignore[misc]
        __slots__ = ()

        def open(
            self,
            emit: Emitter,
            schema: Schema,
            optimizer: Any,
            *more: Any,
        ) -> None:
            place = emit.place()
            if place is not None:
                super().open(place, schema.id, *_widths(schema), optimizer, *more)

    found: type[Lane] = Native
    return found


Fastest: type[Lane] = Lane if native is None else _native()
