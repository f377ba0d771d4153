"""The learning rate: what it is, where it moved, and what kind of schedule these moves make."""

from __future__ import annotations

import math
from functools import cached_property
from typing import NamedTuple

import numpy as np

from nnwatch.series import Floats, Steps

from .measured import Measured
from .window import block_medians, trend

LR_JUMP = 1.5
"""A learning rate or batch size that changes by more than this factor begins a new phase."""
FAINT = 1e-6
"""A first rate that teaches nothing: what rises from it by equal factors searches for one that does."""
CALM = 60
"""Steps of a falling loss after which what goes wrong next is not a fault of the start."""


class Rise(NamedTuple):
    """A learning rate that went from ``old``, the highest so far, to ``new`` after ``step``."""

    step: int
    old: float
    new: float


class Schedule:
    """The moves of a rate: the steps (k,) after which it moved, and the rate (k,) after each of them, the first rate
    included. Most rates move seldom: what these say of the schedule is kept until the next one."""

    def __init__(self, steps: Steps, rates: Floats) -> None:
        self.steps = steps
        self.rates = rates

    @cached_property
    def highest(self) -> float:
        return float(np.max(self.rates))

    @cached_property
    def warmup_end(self) -> int:
        """The step at which a rate that rises from the start stops rising; 0 when it does not rise."""
        falls = (self.rates[1:] < self.rates[:-1]).nonzero()[0]
        top = int(falls[0]) if len(falls) else len(self.rates) - 1
        return int(self.steps[top]) if top > 0 else 0

    @cached_property
    def cyclic(self) -> bool:
        """The rate rose again after it had fallen."""
        falls = (self.rates[1:] < self.rates[:-1]).nonzero()[0]
        if not len(falls):
            return False
        after = self.rates[falls[0] :]
        return bool(np.any(after > 1.2 * np.minimum.accumulate(after)))

    @cached_property
    def climbs(self) -> bool:
        """The rate has risen after every step so far, from the first one on."""
        return len(self.rates) >= 6 and bool(np.all(np.diff(self.steps)[1:] == 1) and np.all(np.diff(self.rates) > 0))

    @cached_property
    def from_nothing(self) -> bool:
        """It began at a rate that teaches nothing and was multiplied by the same factor each time."""
        if not 0 < self.rates[0] <= FAINT:
            return False
        moves = np.diff(np.log(self.rates.astype(np.float64)))
        return bool(np.ptp(moves) < 0.02 * np.mean(moves))

    @cached_property
    def jumped(self) -> int:
        """The step after which the rate last changed by more than LR_JUMP; 0 when it never did."""
        if len(self.rates) < 2:
            return 0
        with np.errstate(divide="ignore", invalid="ignore"):
            jumps = np.flatnonzero(np.abs(np.log(self.rates[1:] / self.rates[:-1])) > math.log(LR_JUMP)) + 1
        return int(self.steps[jumps[-1]]) if len(jumps) else 0

    @cached_property
    def rise(self) -> Rise | None:
        """The last time that the rate rose by half or more over all before."""
        if len(self.rates) < 2:
            return None
        before = np.maximum.accumulate(self.rates)[:-1].astype(np.float64)
        rises = np.flatnonzero(self.rates[1:] > LR_JUMP * before)
        if not len(rises):
            return None
        at = rises[-1]
        return Rise(int(self.steps[at + 1]), float(before[at]), float(self.rates[at + 1]))


class Rates(Measured):
    """The largest learning rate of any group."""

    @cached_property
    def learning_rates(self) -> tuple[Steps, Floats]:
        """Steps (n,) and the largest rate of any group (n,). Raises Abstain when not measured."""
        view = self.view("lr")
        if view.values.shape[1] == 1:
            return view.steps, view.scalar
        known: Floats = self._memo.get("rates", view.scalar[:0])
        known = np.concatenate((known, np.fmax.reduce(view.values[len(known) :], axis=1)))
        self._memo["rates"] = known
        return view.steps, known

    @property
    def lr(self) -> float:
        """The largest learning rate of any group, at its highest so far: the number in the user's script. Raises
        Abstain when not measured."""
        self.view("lr")
        return self.schedule.highest

    def lr_at(self, step: int) -> float:
        steps, rates = self.learning_rates
        return float(rates[max(0, int(np.searchsorted(steps, step, side="right")) - 1)])

    @cached_property
    def schedule(self) -> Schedule:
        """Without any move where the rate is not measured."""
        if not self.has("lr"):
            return Schedule(np.empty(0, np.int64), np.empty(0, np.float32))
        steps, rates = self.learning_rates
        moved = self.edges("lr", rates)
        known: Schedule | None = self._memo.get("schedule")
        if known is None or len(known.steps) != len(moved):
            self._memo["schedule"] = known = Schedule(steps[moved], rates[moved])
        return known

    @property
    def lr_warmup_end(self) -> int:
        """The step at which a rate that rises from the start stops rising; 0 when it does not rise."""
        return self.schedule.warmup_end

    @cached_property
    def searched(self) -> bool:
        """A range test: the rate is raised after every step, from next to nothing or to an end that the schedule names,
        to see where the loss no longer falls. What it does to the loss is no fault, and nothing is to be learned."""
        if not self.schedule.climbs:
            return False
        return self.schedule.from_nothing or any(
            "num_iter" in (known.get("settings") or ()) for known in self.facts.get("scheduler") or ()
        )

    @property
    def cyclic(self) -> bool:
        """The learning rate rose again after it had fallen: only equal phases compare."""
        return self.schedule.cyclic

    @cached_property
    def raised(self) -> Rise | None:
        """The last time that the rate rose by half or more over all before, if the loss was falling until then: what
        goes wrong afterwards came with the rate. None without such a rise."""
        rise = self.schedule.rise
        if rise is None:
            return None
        past = self.loss.before(rise.step).last(200).scalar
        calm = len(past) >= CALM and trend(block_medians(past)) < -1.64
        return rise if calm else None
