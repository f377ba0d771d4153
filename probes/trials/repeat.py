"""Overfitting in the script's own loop, for scripts whose step cannot be captured: every loader gives its first batch
again and again, and our own optimizer steps in the place of the script's, whose rates are 0 meanwhile."""

from __future__ import annotations

import atexit
import os
from time import time
from typing import Any

import torch
from torch import nn

from nnwatch.trial import Rung, done, impossible

from ..standby import Standby
from .adam import Adam
from .batches import Batches
from .end import End, leave, rank, several
from .overfit import LEAST, RATES, SHARE
from .rates import Rates
from .recorder import Recorder
from .still import Still
from .voice import Voice

STEPS = 200
"""Of each rung: the whole batch takes longer than a few samples."""
EVERY = 25


class Repeat:
    """``settings``: ``told``, ``line`` (what would make the step known) and ``end`` (seconds since 1970)."""

    def __init__(self, standby: Standby, settings: dict[str, Any]) -> None:
        self._standby = standby
        self._voice = Voice(settings["told"])
        self._end = End(settings["told"])
        self._line: str | None = settings["line"]
        self._until: float = settings["end"]
        self._late = False
        self._recorder = Recorder(standby, self._stepping, self._stepped, capture=False)
        self._batches = Batches(standby, repeating=True)
        self._rates = Rates()
        self._place = 0
        self._losses: list[float] = []
        self._best: list[float] = []
        self._rungs: list[Rung] = []
        self._adams: dict[int, Adam] = {}
        self._still: Still | None = None
        self._over = False
        self._pid = os.getpid()

    def begin(self) -> None:
        self._recorder.begin()
        self._batches.begin()
        atexit.register(self._finish)

    def _stepping(self, optimizer: torch.optim.Optimizer) -> None:
        self._rates.set(optimizer, 0.0)

    def _stepped(self, optimizer: torch.optim.Optimizer) -> None:
        self._rates.back()
        if self._over or os.getpid() != self._pid:
            return
        if self._still is None:  # the first step had its dropout: only its weights and gradients count
            self._begin_rungs()
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        adam = self._adams.setdefault(id(optimizer), Adam(parameters, self._rate))
        adam.step([parameter.grad for parameter in parameters])
        if len(self._recorder.losses) > len(self._losses) + self._made:
            self._look()

    @property
    def _rate(self) -> float:
        return RATES[min(self._place, len(RATES) - 1)]

    @property
    def _made(self) -> int:
        """Steps of earlier rungs."""
        return sum(rung["steps"] + 1 for rung in self._rungs)

    def _begin_rungs(self) -> None:
        self._still = Still(nn.ModuleList(self._standby.watch.training.modules.values()))
        self._still.__enter__()  # type: ignore[no-untyped-call]

    def _look(self) -> None:
        """Is this rung over, and with it everything?"""
        learned = False
        if self._place < len(RATES):  # of several ranks all make one step more
            losses = self._losses
            losses.append(self._recorder.losses[-1])
            if len(losses) % EVERY == 0 and not rank():
                self._voice.say(f"overfit a repeated batch, Adam {self._rate:g}: loss {losses[-1]:.4g}")
            learned = losses[-1] <= max(SHARE * losses[0], LEAST) and not several()
            self._late = time() > self._until and not learned
            if len(losses) > STEPS or learned:
                self._turn()
        everything = learned or self._late or self._place == len(RATES) or not self._batches.given
        if self._end.after(self._standby.watch.step, everything):
            self._finish()
            leave(self._standby)

    def _turn(self) -> None:
        """The next rung begins where this one did."""
        losses, self._losses = self._losses, []
        rate = self._rate
        self._rungs.append(Rung(optimizer="Adam", rate=rate, first=losses[0], last=losses[-1], steps=len(losses) - 1))
        if not self._best or losses[-1] < self._best[-1]:
            self._best = losses
        self._place += 1
        self._adams.clear()
        self._recorder.restore()

    def _finish(self) -> None:
        if self._over or os.getpid() != self._pid or rank() or not self._recorder.steps:  # a launcher makes none
            return
        self._over = True
        if self._losses and self._batches.given and not self._late:
            self._turn()
        self._voice.tell(self._data())
        self._voice.tell({"left": "steps"})

    def _data(self) -> dict[str, Any]:
        if not self._batches.given:
            return impossible("overfit", "no DataLoader gives a batch that could be repeated", self._line)
        if self._late:
            made = sum(rung["steps"] for rung in self._rungs) + len(self._losses)
            return impossible("overfit", f"the time was over after {made} steps; give more --minutes", self._line)
        if not self._rungs:
            return impossible("overfit", "no optimizer of torch's stepped on the repeated batch", self._line)
        return done(
            "overfit",
            loss_kind="other",
            samples=self._batches.rows,
            rungs=self._rungs,
            losses=self._best,
            floor=None,
            first=self._best[0],
            last=self._best[-1],
            accuracy=None,
        )
