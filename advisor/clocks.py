"""The clocks of a run: planned steps, warm-up, schedule, phases, and the windows that trends are read from."""

from __future__ import annotations

import math
from functools import cached_property
from typing import NamedTuple

import numpy as np

from nnwatch.series import Floats, Steps

from .finding import Abstain, number
from .measured import STEADY, Measured
from .window import Numbers, View, block_medians, median, slope, trend

LR_JUMP = 1.5
"""A learning rate or batch size that changes by more than this factor begins a new phase."""


REGION, MOVED = 20, 3
"""Records at either end of a run whose targets are compared; how far they may lie apart."""
CALM = 60
"""Steps of a falling loss after which what goes wrong next is not a fault of the start."""


class Rise(NamedTuple):
    """A learning rate that went from ``old``, the highest so far, to ``new`` after ``step``."""

    step: int
    old: float
    new: float


class Clocks(Measured):
    """In optimizer steps: ``planned`` ones that the script will take, ``horizon`` these or the steps so far."""

    @cached_property
    def planned(self) -> int | None:
        """Optimizer steps the script will take (S), None when not known or already passed; of a training that came to
        its end, the steps it took."""
        planned = self.facts.get("planned_steps")
        if planned and planned >= self.step:
            return int(planned)
        return self.step if self.end is not None and self.end.status == "finished" else None

    @property
    def horizon(self) -> int:
        """Planned steps; the steps so far where the plan is not known."""
        return self.planned or self.step

    @property
    def over(self) -> bool:
        """The training has taken all its steps: what is not good now will not become good."""
        if self.end is None:
            return False
        return self.end.status == "finished" or (self.planned is not None and self.step >= 0.98 * self.planned)

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

    @cached_property
    def lr(self) -> float:
        """The largest learning rate of any group, at its highest so far: the number in the user's script."""
        return float(np.max(self.learning_rates[1]))

    def lr_at(self, step: int) -> float:
        steps, rates = self.learning_rates
        return float(rates[max(0, int(np.searchsorted(steps, step, side="right")) - 1)])

    @cached_property
    def lr_changes(self) -> tuple[Steps, Floats]:
        """Steps after which the rate moved, and the rate after each move, the first rate included."""
        if not self.has("lr"):
            return np.empty(0, np.int64), np.empty(0, np.float32)
        steps, rates = self.learning_rates
        moved = self.edges("lr", rates)
        return steps[moved], rates[moved]

    @cached_property
    def lr_steady(self) -> bool:
        """The rate has not moved since the warm-up."""
        steps = self.lr_changes[0]
        return len(steps) <= 1 or int(steps[-1]) <= self.warmup

    @cached_property
    def raised(self) -> Rise | None:
        """The last time that the rate rose by half or more over all before, if the loss was falling until then: what
        goes wrong afterwards came with the rate. None without such a rise."""
        steps, rates = self.lr_changes
        if len(rates) < 2:
            return None
        before = np.maximum.accumulate(rates)[:-1].astype(np.float64)
        rises = np.flatnonzero(rates[1:] > LR_JUMP * before)
        if not len(rises):
            return None
        rise = Rise(int(steps[rises[-1] + 1]), float(before[rises[-1]]), float(rates[rises[-1] + 1]))
        past = self.loss.before(rise.step).last(200).scalar
        calm = len(past) >= CALM and trend(block_medians(past)) < -1.64
        return rise if calm else None

    @cached_property
    def lr_warmup_end(self) -> int:
        """The step at which a rate that rises from the start stops rising; 0 when it does not rise."""
        steps, rates = self.lr_changes
        falls = (rates[1:] < rates[:-1]).nonzero()[0]
        top = int(falls[0]) if len(falls) else len(rates) - 1
        return int(steps[top]) if top > 0 else 0

    @cached_property
    def warmup(self) -> int:
        return max(self.lr_warmup_end, 20, min(self.horizon // 100, 500))

    @cached_property
    def cyclic(self) -> bool:
        """The learning rate rose again after it had fallen: only equal phases compare."""
        rates = self.lr_changes[1]
        falls = (rates[1:] < rates[:-1]).nonzero()[0]
        if not len(falls):
            return False
        after = rates[falls[0] :]
        return bool(np.any(after > 1.2 * np.minimum.accumulate(after)))

    @cached_property
    def phase_start(self) -> int:
        """First step since the last jump of learning rate or batch size: trends are read from here."""
        steps, rates = self.lr_changes
        start = 0
        if len(rates) > 1:
            with np.errstate(divide="ignore", invalid="ignore"):
                jumps = np.flatnonzero(np.abs(np.log(rates[1:] / rates[:-1])) > math.log(LR_JUMP)) + 1
            start = int(steps[jumps[-1]]) if len(jumps) else 0
        return max(start, self._batch_change, self._unfrozen, self._loaded, self.track.segment.first_step)

    @cached_property
    def _unfrozen(self) -> int:
        """The step from which parameters are trained that were frozen before."""
        frozen: set[str] = set()
        start = 0
        for event in self._told:
            if "frozen" in event.data:
                now = set(event.data["frozen"] or ())
                start = event.step if frozen - now else start
                frozen = now
        return start

    @cached_property
    def _loaded(self) -> int:
        """The step after which weights were loaded from a file."""
        return max((event.step for event in self.events("checkpoint.loaded")), default=0)

    @cached_property
    def _batch_change(self) -> int:
        if not self.has("batch.size"):
            return 0
        view = self.view("batch.size")
        sizes = view.scalar
        edges = self.edges("batch.size", sizes)
        if len(edges) < 2:
            return 0
        edges = np.append(edges, len(sizes))
        long = np.flatnonzero(np.diff(edges) >= STEADY)
        start = 0
        for before, after in zip(long[-2:], long[-1:], strict=False):
            a, b = float(sizes[edges[before]]), float(sizes[edges[after]])
            if before != after and max(a, b) > LR_JUMP * min(a, b):
                start = int(view.steps[edges[after]])
        return start

    @cached_property
    def window_length(self) -> int:
        """Steps that a trend is read from: a fifth of the run, 200 to 5,000 steps, and an epoch where one is short."""
        epoch = int(self.facts.get("steps_per_epoch") or 0)
        return max(int(min(max(0.2 * self.step, 200), 5000)), min(epoch, 5000))

    def window(self, view: View) -> View:
        """The newest part of a view that a trend is read from; never across the beginning of a phase."""
        return view.since(max(self.step - self.window_length + 1, self.phase_start))

    def late(self, view: View) -> View:
        """The part of a view that belongs to the second half of the steps so far; all of it in the first 40 steps.

        The first 20 steps are all sampled, later ones as the budget allows: the newest records of a metric may be
        mostly of the net's first steps, and say nothing of what it has become.
        """
        first = self.track.segment.first_step
        age = self.step - first
        return view.since(first + age // 2 + 1) if age > 40 else view

    @cached_property
    def falling(self) -> bool:
        """The training loss still falls: a trend over the newest window (Mann-Kendall, one-sided 5 %)."""
        return self.has("loss.train") and self.loss_trend < -1.64

    @cached_property
    def moving_targets(self) -> bool:
        """The targets of a regression are no longer those of the start, by three of their deviations or in a spread of
        three times or a third (values that a net learns from its own guesses): its losses do not compare."""
        if self.facts.get("classes") or not (self.has("target.mean") and self.has("target.std")):
            return False
        return self.once("moving targets", ("target.mean", "target.std"), self._targets_moved)

    def _targets_moved(self) -> bool:
        means, stds = self.view("target.mean").scalar, self.view("target.std").scalar
        size = min(REGION, len(means) // 3, len(stds) // 3)
        if size < 5:
            return False
        (a, first), (b, now) = (
            (middle := median(means[part]), math.hypot(median(stds[part]), median(np.abs(means[part] - middle))))
            for part in (slice(size), slice(-size, None))
        )
        known = first > 0 and math.isfinite(first + now)
        return known and (abs(b - a) > MOVED * first or not 1 / MOVED < now / first < MOVED)

    def loss_key(self, patient: bool = True) -> str | None:
        """The outcome that goes with most mechanisms: the loss has not left its initial value. None if it has or, with
        ``patient``, while it still falls: how far a loss can fall differs from task to task."""
        if self.facts.get("attached"):
            raise Abstain("it was under way when nnwatch came: whether the loss has fallen is not known")
        now, first = self.recent_loss(), self.initial_loss
        if self.moving_targets or now < 0.9 * first or (patient and now < first and self.falling):
            return None
        return f"the loss has not fallen: {number(now)} now, {number(first)} at the start"

    def stands_key(self, left: float = 1 / 3) -> str | None:
        """A milder outcome, for mechanisms that no healthy run has: in the second half of the plan the loss gains no
        more than 2 % in a window, and over ``left`` of the first is left. None where it does not stand like that."""
        age = self.step - self.track.segment.first_step
        if age < max(60, 0.5 * self.horizon) or (self.falling and self.gained > 0.02):
            return None
        now, first = self.recent_loss(), self.first_loss
        return f"the loss stands at {number(now)}, it began at {number(first)}" if now > left * first else None

    @cached_property
    def loss_blocks(self) -> Numbers:
        """Block medians of the training loss over the newest window."""
        return block_medians(self.window(self.loss).scalar)

    @cached_property
    def loss_trend(self) -> float:
        """Mann-Kendall z of the training loss over the newest window."""
        return trend(self.loss_blocks)

    @property
    def gained(self) -> float:
        """Share of the training loss that the newest window has gained; negative where it rose."""
        return _gain(self.loss_blocks)

    @cached_property
    def flat(self) -> tuple[float, float] | None:
        """Shares of the loss gained in each of two windows in a row, the older first, neither of which falls
        (Mann-Kendall); None when one does. Raises Abstain when they do not fit behind the warm-up."""
        length = self.window_length
        if self.step - max(self.warmup, self.phase_start) < 2 * length:
            raise Abstain("too early: it needs two windows of 200 steps after the warm-up")
        newest = self.loss.since(self.step - length + 1)
        before = self.loss.since(self.step - 2 * length + 1).before(self.step - length + 1)
        gains = []
        for part in (before, newest):
            blocks = block_medians(part.scalar)
            if trend(blocks) < -1.64:
                return None
            gains.append(_gain(blocks))
        return gains[0], gains[1]

    @cached_property
    def val_improves(self) -> bool | None:
        """Whether one of the newest evaluations (five, or a tenth of the plan) is the best; None for too few."""
        ev = self.evaluations
        recent = max(5, int(np.sum(ev.steps > self.step - self.horizon // 10)))
        if len(ev.steps) < recent + 2:
            return None
        return bool(np.nanmin(ev.loss[-recent:]) < np.nanmin(ev.loss[:-recent]))


def _gain(blocks: Numbers) -> float:
    """Share of their median by which the blocks fall from the first to the last (Theil-Sen)."""
    return -slope(blocks) * len(blocks) / max(median(blocks), 1e-12)
