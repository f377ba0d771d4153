"""Where a job's frames come from: the rings of its processes, what it prints, the machine, what is known besides."""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Any

from . import earlier, git, lineage, notices, stacks, stopping
from .card import Card
from .console import Follower
from .frame import Block, Event, Segment
from .ingest import Ingest
from .look import Look
from .nodes.role import Role
from .parts import Parts
from .process import Process
from .recorder import Recorder
from .stall import Silence
from .system import System

_SAMPLE_EVERY = 1.0
_UNSEEN = 60.0
"""Seconds after which a run without torch is told of; a run without a backward pass is at its end."""


class Gatherer:
    """Gives the ``recorder`` all that is new. It goes on behind the recorder's last Commit."""

    def __init__(
        self,
        job: Path,
        card: Card,
        trainer: Process,
        options: dict[str, Any],
        recorder: Recorder,
        parts: Parts,
        others: Role,
    ) -> None:
        self._job = job
        self._card = card
        self._trainer = trainer
        self._recorder = recorder
        self._history = recorder.history
        self._parts = parts
        commit = recorder.commit
        rings = {name: cursor for name, cursor in commit.cursors.items() if name.endswith(".ring")}
        self._ingest = Ingest(options["rings"], rings, commit.dropped, recorder.ids)
        self._console = Follower(job / "console", commit.cursors.get("console", (0, 0))[0])
        self._told_dropped = commit.dropped
        self._silence = Silence(trainer.pid, time.monotonic()) if not options["interactive"] else None
        self._look = Look(job, trainer, recorder, parts, others)
        self._system = parts.attempt("system", lambda: self._begin_system(trainer))
        if not recorder.again and (text := lineage.restarted(card)):
            recorder.notice(text)
        if table := options["settings"].get("table"):
            recorder.take(Event("facts", time.time(), data={"settings": table}))
        if options["late"] and not recorder.again:
            recorder.take(Event("facts", time.time(), data={"attached": True}))
            recorder.notice(notices.LATE)
        self._since = time.monotonic()
        self._sampled = -_SAMPLE_EVERY
        self._unseen_told = False
        self._stopping = any(event.name == "stopping" for event in self._history.events)

    @property
    def cursors(self) -> dict[str, tuple[int, int]]:
        """How far everything was read, for the Commit."""
        return self._ingest.cursors | {"console": (self._console.position, 0)}

    @property
    def dropped(self) -> int:
        """Records that found no room in a ring."""
        return self._ingest.dropped

    def release(self) -> None:
        """What was read is safe."""
        self._ingest.release()

    def _begin_system(self, trainer: Process) -> System:
        system = System(trainer, str(self._recorder.path.parent), self._recorder.ids)
        for frame in system.introduce(time.time()):
            self._recorder.take(frame)
        return system

    def read(self, now: float) -> None:
        """Everything that came since the last call."""
        take, step = self._recorder.take, self._history.last_step
        came = self._ingest.read()
        for frame in came:
            goes_on = lineage.link(frame, self._card)
            take(frame)
            if goes_on:
                self._recorder.notice(goes_on)
            if isinstance(frame, Segment) and (found := self._outside()):
                take(Event("facts", frame.time, frame.first_step, frame.segment, frame.rank, found))
        texts = self._console.read(now, self._history.last_step, last=self._history.end is not None)
        for text in texts:
            take(text)
        if self._silence is not None:
            if came or texts:
                self._silence.heard(time.monotonic(), stepping=step > 0)
            elif self._history.end is None and (event := self._silence.look(time.monotonic(), now, self._history)):
                self._look.begin(now, event)  # the rule about the silence reads it
        if not self._stopping and (why := stopping.why(self._job)):
            self._stopping = True
            take(Event("stopping", now, step, data={"text": why}))
        if stacks.asked(self._job):
            self._look.begin(now)
        self._look.read()
        if (block := self._sample(now, step)) is not None:
            take(block)
        if (dropped := self._ingest.dropped) > self._told_dropped:
            take(Event("overflow", now, step, data={"dropped": dropped - self._told_dropped}))
            self._told_dropped = dropped
        if time.monotonic() - self._since > _UNSEEN and not any((self._job / "hello").glob("*")):
            self.tell_unseen()  # torch would have been imported by now; a first backward pass may take its time

    def _sample(self, now: float, step: int) -> Block | None:
        """The machine, once a second."""
        system, clock = self._system, time.monotonic()
        if system is None or clock - self._sampled < _SAMPLE_EVERY:
            return None
        self._sampled = clock
        block = self._parts.attempt("system", lambda: system.sample(now, step, clock))
        if block is None:
            self._system = None
        return block

    @functools.cache  # noqa: B019 - it lives as long as its process
    def _outside(self) -> dict[str, Any]:
        """What is known without the training process, when training began: the repository of the script's folder, and
        what an earlier check of the script found."""
        cwd = Path(self._card.cwd)
        script = next((word for word in self._card.command if word.endswith(".py")), "")
        state = git.state((cwd / script).parent if script else cwd)
        known = self._parts.attempt("earlier", lambda: earlier.facts(self._card)) or {}
        return ({"git": state} if state is not None else {}) | known

    def tell_unseen(self) -> None:
        """Say why there is nothing to see, where there is nothing."""
        if self._ingest.seen:
            return
        if (raised := notices.raised(self._job)) is not None:
            self._recorder.take(Event("exception", time.time(), 0, data=raised))
        elif not self._unseen_told:
            self._unseen_told = True
            self._recorder.notice(notices.unseen(self._job))
