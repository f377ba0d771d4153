"""How a step is let into the lane (`lane.py`), or sampled in it, and how it leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .making import Making
from .plan import Plan, widths
from .stages import CLOSED, LOSS, Left, Said

if TYPE_CHECKING:
    from .emit import Emitter
    from .layers import Layers
    from .routine import Routine


class Admission(Making):
    """Closed until ``open``, and before that ``serve`` says whom it tells."""

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
    )

    def __init__(self) -> None:
        self.reset()

    def serve(self, left: Callable[[Left], None], due: Callable[[int], None], canary: Callable[[], None]) -> None:
        """``left`` takes what a step leaves with, ``due(step)`` decides after a step that another may follow,
        ``canary()`` looks at a gradient."""
        self._left = left
        self._due = due
        self._canary = canary

    def begin(self) -> None:
        """Nothing of an earlier segment."""
        super().begin()
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
