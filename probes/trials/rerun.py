"""A further run of the script: is it the same with the same seeds, and how does its loss answer to the learning rate?

Both in one run: some steps as they are, then the weights of the start again and the range test, in the script's own
loop on its own batches.
"""

from __future__ import annotations

import atexit
import os
from collections import defaultdict
from time import time
from typing import Any

import torch

from nnwatch.trial import done, impossible

from ..standby import Standby
from .batches import Batches
from .end import End, leave, rank, several
from .ramp import Ramp
from .rates import Rates
from .recorder import Recorder
from .voice import Voice

EVERY = 10
FEW = 5
"""Steps that tell how long a step takes."""
SPARE = 0.9
"""Part of the time left that the range test is planned for: steps may become slower."""


class Rerun:
    """``settings``: ``told``, ``same`` (steps as they are), ``ramp`` (steps of the range test, 0: none), ``least`` (the
    fewest that it is worth) and ``end`` (seconds since 1970)."""

    def __init__(self, standby: Standby, settings: dict[str, Any]) -> None:
        self._standby = standby
        self._voice = Voice(settings["told"])
        self._end = End(settings["told"])
        self._same: int = settings["same"]
        self._until: float = settings["end"]
        self._wanted: int = settings["ramp"]
        self._least: int = settings["least"]
        self._ramp: Ramp | None = None
        self._began = time()
        self._recorder = Recorder(standby, self._stepping, self._stepped, capture=False)
        self._batches = Batches(standby)
        self._rates = Rates()
        self._ramping = self._over = False
        self._pid = os.getpid()

    def begin(self) -> None:
        self._recorder.begin()
        self._batches.begin()
        atexit.register(self._finish, "end")

    def _stepping(self, optimizer: Any) -> None:
        if self._ramping and self._ramp is not None:
            self._rates.set(optimizer, self._ramp.rate)

    def _stepped(self, optimizer: Any) -> None:
        self._rates.back()
        if self._over or os.getpid() != self._pid:
            return
        losses, step = self._recorder.losses, self._standby.watch.step
        if len(losses) == 1:
            self._began = time()
        taken = len(losses) - self._same
        if self._ramping and self._ramp is not None and taken > len(self._ramp.losses):
            self._ramp.took(losses[-1])
            if len(self._ramp.losses) % EVERY == 0 and rank() == 0:
                self._voice.say(f"learning rate {self._ramp.rates[-1]:.2g}: loss {losses[-1]:.4g}")
        elif not self._ramping and taken >= 0:
            self._turn()
        over = self._ramp.over if self._ramp is not None else taken >= 0
        if self._end.after(step, over or time() > self._until):
            self._finish("steps" if over else "time")
            leave(self._standby)

    @property
    def _pace(self) -> float | None:
        """Seconds of each step since the first; None before there are some."""
        made = len(self._recorder.losses) - 1
        return (time() - self._began) / made if made >= FEW else None

    def _turn(self) -> None:
        """The steps as they are have been made: back to the start, and the range test, as long as there is time for."""
        pace, steps = self._pace, self._wanted
        if pace is not None and not several():  # ranks have to make the same steps
            steps = min(steps, int(SPARE * (self._until - time()) / pace))
        if steps < self._least:
            return
        self._ramp = Ramp(steps)
        self._ramping = self._batches.endless = True
        self._recorder.restore()
        for each in self._standby.watch.training.script.optimizers():
            if isinstance(each, torch.optim.Optimizer):
                each.state = defaultdict(dict)

    def _finish(self, why: str) -> None:
        if self._over or os.getpid() != self._pid or rank() or not self._recorder.steps:  # a launcher makes none
            return
        self._over = True
        ramp = self._ramp
        if ramp is not None and (not self._rates.present or self._rates.refused):
            self._voice.tell(impossible("range", "no optimizer whose learning rate could be set steps in the script"))
        elif ramp is not None and ramp.over:
            self._voice.tell(done("range", **ramp.found(), present=self._rates.present, groups=self._rates.groups))
        known = {"losses": self._recorder.losses[: self._same], "pace": self._pace}
        self._voice.tell({"left": why, **known, "ramped": len(ramp.losses) if ramp is not None else 0})
