"""Another node of the job, as the first one's monitor knows it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from ..frame import End, Event, Frame
from ..ingest import Ids
from ..narrate import ending
from .adopt import Adopter
from .clock import Clock
from .line import START, Cursor, Line
from .tail import Tail

_PATIENCE = 3.0
"""Seconds without a connection after which it is told: a monitor that died is back within them."""


class Node:
    """Node ``number``, whose session is that of ``run``: what was taken of it, and the way it comes by."""

    def __init__(self, number: int, host: str, run: str, started: float, ids: Ids) -> None:
        self.number = number
        self.host = host
        self.run = run
        self.cursor: Cursor = START
        self.line: Line | Tail | None = None
        self.ended = False
        self.looking = False
        """Whether it was asked where its ranks are."""
        self.stacks: dict[str, Any] = {}
        """What it answered, by rank."""
        self._lost = False  # that nothing comes any more was told
        self._started = started
        self._ids = ids
        self._adopter: Adopter | None = None
        self._heard = time.monotonic()

    @property
    def silent(self) -> float:
        """Seconds for which there was no way to it."""
        return 0.0 if self.present else time.monotonic() - self._heard

    @property
    def present(self) -> bool:
        """Whether there is a way to it at this moment."""
        return self.line is not None and self.line.cut is None

    def look(self) -> None:
        """Have it tell where its ranks are, if it is there."""
        self.stacks = {}
        self.looking = self.line is not None and self.present and not self.ended and self.line.look()

    def known(self, ahead: float, cursor: Cursor) -> None:
        """An earlier monitor has taken it so far. Its clock is as far off as it was found to be then: its times go on
        as they began."""
        self.cursor = cursor
        self._adopter = Adopter(self.number, self.host, self._started, ahead, self._ids)

    def read(self, now: float, step: int) -> Iterator[Frame]:
        """What came, and what became of the node itself."""
        line = self.line
        if self.ended:
            return
        if line is None:
            yield from self._missed(now, step, "it has not come again")
            return
        frames = line.take()
        if line.clock is not None:
            yield from self._welcome(now, step, line.clock)
        for frame in frames:
            assert self._adopter is not None
            yield from self._adopter.take(frame)
            if isinstance(frame, Event) and frame.name == "stacks":
                told = frame.data.get("ranks") or {}
                self.stacks = {rank: one | {"host": self.host} for rank, one in told.items()}
            if isinstance(frame, End):
                self.ended = True
                how = {"status": frame.status, "exit": frame.exit, "signal": frame.signal}
                yield self._event(now, step, "ended", f"{self} {ending(frame)}", how)
        self.cursor = line.cursor
        if line.cut is not None:
            yield from self._missed(now, step, line.cut)
        else:
            self._heard = time.monotonic()

    def _welcome(self, now: float, step: int, clock: Clock) -> Iterator[Frame]:
        if self._adopter is None:
            self._adopter = Adopter(self.number, self.host, self._started, clock.ahead, self._ids)
            told = {"started": self._started, "ahead": clock.ahead, "within": clock.within}
            yield self._event(now, step, "joined", f"{self} has joined; {clock.told()}", told)
        elif self._lost and self.present:
            self._lost = False
            yield self._event(now, step, "back", f"{self} is back, with all it recorded meanwhile", {})

    def _missed(self, now: float, step: int, why: str) -> Iterator[Frame]:
        if self._lost or self.ended or self._adopter is None or self.silent < _PATIENCE:
            return
        self._lost = True
        yield self._event(now, step, "lost", f"no connection to {self} ({why}): it goes on recording there", {})

    def leave(self, now: float, step: int, reached: int) -> Iterator[Frame]:
        """The session ends before the node, which has ``reached`` a step, has told its own end."""
        if not self.ended and self._adopter is not None:
            goes = "trains on" if self.present else "was not heard any more"
            text = f"{self} {goes} when this run ended: here it is up to step {reached}, the rest in its own session"
            yield self._event(now, step, "left", f"{text}, {self.run}", {"reached": reached})

    def _event(self, now: float, step: int, state: str, text: str, told: dict[str, Any]) -> Event:
        data = {"state": state, "node": self.number, "host": self.host, "run": self.run, "text": text}
        return Event("node", now, step, data=data | told)

    def __str__(self) -> str:
        return f"node {self.number} ({self.host})"
