"""The training loss: where it began, where it is, whether it still falls, and the outcomes that rules read from it."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from nnwatch.series import Steps

from .clocks import STEADY, Clocks
from .finding import Abstain, number
from .window import Numbers, block_medians, column_medians, finite, median, medians, slope, trend

REGION, MOVED = 20, 3
"""Records at either end of a run whose targets are compared; how far they may lie apart."""

EARLY, LATE = 60, 200
"""Steps that a loss may stay at its first value, at least, and at most but for a warm-up."""

LEAST, SIGN = 20, 0.1
"""Records of either sign that make a score, and the share of them that each sign has."""


class Losses(Clocks):
    """What is said of the loss is said of the loss that is trained on, unless it is called another."""

    @cached_property
    def first_loss(self) -> float:
        """The first finite training loss: the loss of the untrained net."""
        values = finite(self.loss.scalar[:STEADY])
        if not len(values):
            raise Abstain("the training loss was never finite")
        return float(values[0])

    @property
    def initial_loss(self) -> float:
        """The same as what later losses are divided by. Raises Abstain where it is not positive: a score or a
        likelihood has no zero that ratios could be taken from."""
        if self.first_loss <= 0:
            raise Abstain("the first loss is not positive: its ratios mean nothing")
        return self.first_loss

    def recent_loss(self, most: int = 60) -> float:
        """Median of the newest losses, at most half of them all, NaN when none is finite."""
        count = min(most, max(1, len(self.loss.steps) // 2))
        return self.here(("recent loss", count), lambda: median(self.loss.last(count).scalar))

    @cached_property
    def best_loss(self) -> float:
        """The best median of 20 consecutive losses among the last 5,000, NaN with fewer than 40 or negative ones."""
        losses = finite(self.loss.last(5000).scalar)
        if len(losses) < 40 or float(np.min(losses)) < 0:
            return math.nan
        return float(np.min(medians(losses[len(losses) % 20 :].reshape(-1, 20))))

    def risen(self, factor: float, floor: float = 0.05) -> str | None:
        """The outcome "the loss has got worse": its last 20 are that much over the best 20, no longer under ``floor``
        of the first, and a fifth of all that was gained is lost. None if it has not."""
        now, best = median(self.loss.last(20).scalar), self.best_loss
        if not now > max(factor * best, floor * self.first_loss, best + 0.2 * (self.first_loss - best)):
            return None
        return f"the loss is {number(now)}, its best was {number(self.best_loss)}"

    @cached_property
    def not_finite(self) -> Steps:
        """Steps (k,) whose training loss is NaN or infinite."""
        return self.loss.steps[~np.isfinite(self.loss.scalar)]

    @cached_property
    def broken(self) -> bool:
        """The newest training loss is NaN or infinite."""
        return self.has("loss.train") and not np.isfinite(self.loss.scalar[-1])

    @cached_property
    def falling(self) -> bool:
        """The training loss still falls: a trend over the newest window (Mann-Kendall, one-sided 5 %)."""
        return self.has("loss.train") and self.loss_trend < -1.64

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
    def multi_opt(self) -> bool:
        """Two optimizers step in turn (GAN, actor and critic): the loss is not the goal."""
        return len(self.facts.get("optimizers") or ()) > 1

    @property
    def rl(self) -> bool:
        """Losses come from sampled actions: they are no goal."""
        return bool(self.facts.get("reinforcement"))

    @property
    def drifting(self) -> bool:
        """The level of the loss says nothing: it is of sampled actions, or of targets that the net makes itself."""
        return self.rl or self.moving_targets

    @property
    def no_goal(self) -> bool:
        """The training loss is not what is to become small."""
        return self.multi_opt or self.drifting or self.scored

    @property
    def scored(self) -> bool:
        """Backward passes begin at numbers of both signs, and the loss function gives none below zero: a score is added
        to it by hand (of a policy), and what the loss function gives is but a part."""
        return self.has("loss.root") and self.once("scored", ("loss.root", "loss.train"), self._scored, slack=0.05)

    def _scored(self) -> bool:
        roots = finite(self.view("loss.root").thin(400).scalar)
        below = float(np.mean(roots < 0)) if len(roots) >= LEAST else 0.0
        return SIGN < below < 1 - SIGN and float(np.min(finite(self.loss.thin(400).scalar), initial=0.0)) >= 0

    @property
    def patience(self) -> int:
        """Steps that a sound net may need to leave its first loss: the warm-up, 60, and half the plan of a short run
        (200 at most). One healthy run of 25 is still at nine tenths of it after 60 steps, most of these by the middle
        of their plan no more."""
        return max(self.warmup, EARLY, min((self.planned or 0) // 2, LATE))

    def loss_key(self, patient: bool = True) -> str | None:
        """The outcome that goes with most mechanisms: the loss has not left its initial value. None if it has, while it
        may still and, with ``patient``, while it falls: how far a loss can fall differs from task to task."""
        if self.facts.get("attached"):
            raise Abstain("it was under way when nnwatch came: whether the loss has fallen is not known")
        if self.step - self.track.segment.first_step < self.patience or self.learned_apart:
            return None
        now, first = self.recent_loss(), self.initial_loss
        if self.no_goal or now < 0.9 * first or (patient and now < first and self.falling):
            return None
        return f"the loss has not fallen: {number(now)} now, {number(first)} at the start"

    @cached_property
    def learned_apart(self) -> bool:
        """One of several losses has come down to half: their sum stays where it is because another one has risen, as
        that of a code does that is no longer trivial."""
        if not self.has("loss.term") or self.view("loss.term").values.shape[1] < 2:
            return False
        terms = self.view("loss.term").values
        return bool(np.any(column_medians(terms[-20:]) < 0.5 * terms[0]))

    def stands_key(self, left: float = 1 / 3) -> str | None:
        """A milder outcome, for mechanisms that no healthy run has: in the second half of the plan the loss gains no
        more than 2 % in a window, and over ``left`` of the first is left. None where it does not stand like that."""
        age = self.step - self.track.segment.first_step
        if age < max(60, 0.5 * self.horizon) or (self.falling and self.gained > 0.02):
            return None
        now, first = self.recent_loss(), self.first_loss
        return f"the loss stands at {number(now)}, it began at {number(first)}" if now > left * first else None

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
