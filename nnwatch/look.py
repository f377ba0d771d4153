"""A look at where every rank of a job is, on this node and on the others, told in one event. Nothing here waits."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from . import stacks
from .frame import Event
from .nodes.role import Role
from .parts import Parts
from .process import Process
from .recorder import Recorder

_PATIENCE = 10.0
"""Seconds for other nodes to answer; what they say later is left out."""


class Look:
    """``begin`` has the processes read; ``read`` records what was found, once the ``others`` have answered."""

    def __init__(self, job: Path, trainer: Process, recorder: Recorder, parts: Parts, others: Role) -> None:
        self._job = job
        self._trainer = trainer
        self._recorder = recorder
        self._parts = parts
        self._others = others
        self._found: dict[str, Any] | None = None
        self._time = self._until = 0.0
        self._why: Event | None = None

    def begin(self, now: float, why: Event | None = None) -> None:
        """``why`` is recorded after it: an event that the look explains. ``now``: seconds since 1970."""
        self._others.look()  # they read at the same time
        pids = stacks.ranks(self._recorder.history) or {0: self._trainer.pid}
        self._found = self._parts.attempt("stacks", lambda: stacks.look(pids)) or {}
        self._until = time.monotonic() + _PATIENCE
        self._time, self._why = now, why or self._why

    def read(self) -> None:
        """Record what was found, if all have answered."""
        if self._found is None:
            return
        if self._others.looking and time.monotonic() < self._until:
            return
        told = stacks.event(self._found | self._others.seen)
        self._recorder.take(Event("stacks", self._time, self._recorder.history.last_step, data=told))
        if self._why is not None:
            self._recorder.take(self._why)
        stacks.answer(self._job, told)
        self._found = self._why = None
