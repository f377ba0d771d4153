"""What a rule may look at: one track of the history as it stood at a boundary, its clocks and its flags.

Steps are optimizer steps. ``planned`` is how many the script will take, where that is known; ``horizon`` is
the same with the end of the run as a fallback. ``warmup`` is the step from which trends mean something.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from nnwatch.frame import End, Event
from nnwatch.history import Doubles, Evaluations, Floats, History, Steps, Track

from .finding import Abstain, number
from .window import Numbers, View, block_medians, finite, median, slope, trend

LR_JUMP = 1.5
"""A learning rate or batch size that changes by more than this factor begins a new phase."""
HYSTERESIS = 0.7
"""A finding is cleared when its number is back under this part of the threshold that raised it."""
DENSE = 20
"""Every step is judged up to this one: a wrong learning rate kills before step 10."""
STEADY = 8
"""Steps of equal size that make a batch size: the ragged last batch of an epoch is none."""


class Context:
    """One boundary of one track. Views end at ``step``; ``end`` is given only when the job has ended there."""

    def __init__(
        self,
        history: History,
        track: Track,
        step: int,
        end: End | None = None,
        opened: frozenset[str] = frozenset(),
        targets: Mapping[str, float] | None = None,
        memo: dict[Any, Any] | None = None,
    ) -> None:
        self.history = history
        self.track = track
        self.step = step
        self.end = end
        self.opened = opened
        """Rules with an open finding after the boundary before this one."""
        self.targets = targets or {}
        """The user's goals: a value for each of some metrics."""
        self._views: dict[str, View | None] = {}
        self._memo: dict[Any, Any] = {} if memo is None else memo
        """What can no longer change from one boundary of the track to the next."""
        self.open = False
        """The rule that judges now has one, of *watch* or worse: its thresholds are then easier to meet, so that it
        does not flicker."""

    def exceeds(self, value: float, threshold: float) -> bool:
        return value > threshold * (HYSTERESIS if self.open else 1)

    def undercuts(self, value: float, threshold: float) -> bool:
        return value < threshold / (HYSTERESIS if self.open else 1)

    # what was measured

    def has(self, metric: str) -> bool:
        return self._view(metric) is not None

    def view(self, metric: str) -> View:
        """Records up to the boundary. Raises Abstain when there are none."""
        view = self._view(metric)
        if view is None:
            raise Abstain(f"{metric} is not measured in this run (yet)")
        return view

    def _view(self, metric: str) -> View | None:
        if metric not in self._views:
            series = self.track.get(metric)
            view = View.of(series, self.step) if series is not None else None
            self._views[metric] = view if view is not None and len(view.steps) else None
        return self._views[metric]

    def newest(self, metric: str, count: int, most: int | None = None) -> Floats:
        """The last ``most`` rows of a metric (``count`` where not given), (n, width).

        Raises Abstain with fewer than ``count``.
        """
        rows = self.view(metric).last(most or count).values
        if len(rows) < count:
            raise Abstain(f"it needs {count} records of {metric}")
        return rows

    def events(self, name: str) -> list[Event]:
        """Events of the track up to the boundary; at the end also those of the step that was never finished."""
        key = self.track.segment.segment, self.track.segment.rank
        ours = [e for e in self.history.events if e.name == name and (e.segment, e.rank) == key]
        return ours if self.end is not None else [e for e in ours if e.step <= self.step]

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """What was known about the script at the boundary."""
        known: dict[str, Any] = {}
        for event in self._told:
            known.update(event.data)
        return known

    @cached_property
    def _told(self) -> list[Event]:
        """The events that brought the facts, in order."""
        key = self.track.segment.segment, self.track.segment.rank
        ours = [event for event in self.history.fact_log if (event.segment, event.rank) == key]
        return ours if self.end is not None else [event for event in ours if event.step <= self.step]

    @cached_property
    def optimizer(self) -> Mapping[str, Any]:
        """What is known of the (first) optimizer; empty where nothing is."""
        known: list[dict[str, Any]] = self.facts.get("optimizers") or [{}]
        return known[0]

    def checkpoint(self, step: int) -> tuple[str, int] | None:
        """The newest checkpoint file whose last writing was at ``step`` or before, and the step of that; None if none
        was saved. A file written again later no longer holds what it held."""
        written = {str(e.data.get("path")): e.step for e in self.events("checkpoint.saved") if e.data.get("path")}
        kept = [(path, at) for path, at in written.items() if at <= step]
        return max(kept, key=lambda item: item[1], default=None)

    @cached_property
    def batch_size(self) -> float | None:
        """Samples in a usual step, None where not measured."""
        size = median(self.view("batch.size").last(50).scalar) if self.has("batch.size") else math.nan
        return size if math.isfinite(size) else None

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
            gains.append(-slope(blocks) * len(blocks) / max(median(blocks), 1e-12))
        return gains[0], gains[1]

    @cached_property
    def val_improves(self) -> bool | None:
        """Whether one of the newest evaluations (five, or a tenth of the plan) is the best; None for too few."""
        ev = self.evaluations
        recent = max(5, int(np.sum(ev.steps > self.step - self.horizon // 10)))
        if len(ev.steps) < recent + 2:
            return None
        return bool(np.nanmin(ev.loss[-recent:]) < np.nanmin(ev.loss[:-recent]))

    @cached_property
    def evaluations(self) -> Evaluations:
        return self.track.evaluations(self.step)

    @cached_property
    def loss(self) -> View:
        return self.view("loss.train")

    @cached_property
    def initial_loss(self) -> float:
        """The first finite training loss: the loss of the untrained net."""
        values = finite(self.loss.scalar[:STEADY])
        if not len(values):
            raise Abstain("the training loss was never finite")
        return float(values[0])

    def recent_loss(self, most: int = 60) -> float:
        """Median of the newest losses, at most half of them all, NaN when none is finite."""
        return median(self.loss.last(min(most, max(1, len(self.loss.steps) // 2))).scalar)

    @cached_property
    def best_loss(self) -> float:
        """The best median of 20 consecutive losses among the last 5,000, NaN with fewer than 40 or negative ones."""
        losses = finite(self.loss.last(5000).scalar)
        if len(losses) < 40 or float(np.min(losses)) < 0:
            return math.nan
        return float(np.min(np.median(losses[len(losses) % 20 :].reshape(-1, 20), axis=1)))

    def risen(self, factor: float) -> str | None:
        """The outcome "the loss has got worse": its last 20 are that much over the best 20. None if it has not."""
        now = median(self.loss.last(20).scalar)
        if not now > factor * self.best_loss:
            return None
        return f"the loss is {number(now)}, its best was {number(self.best_loss)}"

    @cached_property
    def broken(self) -> bool:
        """The newest training loss is NaN or infinite."""
        return self.has("loss.train") and not np.isfinite(self.loss.scalar[-1])

    # clocks

    @cached_property
    def planned(self) -> int | None:
        """Optimizer steps the script will take (S), None when not known or already passed."""
        planned = self.facts.get("planned_steps")
        return int(planned) if planned and planned >= self.step else None

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
        return view.steps, view.scalar if view.values.shape[1] == 1 else np.fmax.reduce(view.values, axis=1)

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
        moved = np.concatenate(([0], np.flatnonzero(rates[1:] != rates[:-1]) + 1))
        return steps[moved], rates[moved]

    @cached_property
    def lr_steady(self) -> bool:
        """The rate has not moved since the warm-up."""
        steps = self.lr_changes[0]
        return len(steps) <= 1 or int(steps[-1]) <= self.warmup

    @cached_property
    def lr_warmup_end(self) -> int:
        """The step at which a rate that rises from the start stops rising; 0 when it does not rise."""
        steps, rates = self.lr_changes
        falls = np.flatnonzero(np.diff(rates) < 0)
        top = int(falls[0]) if len(falls) else len(rates) - 1
        return int(steps[top]) if top > 0 else 0

    @cached_property
    def warmup(self) -> int:
        return max(self.lr_warmup_end, 20, min(self.horizon // 100, 500))

    @cached_property
    def phase_start(self) -> int:
        """First step since the last jump of learning rate or batch size: trends are read from here."""
        steps, rates = self.lr_changes
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
        edges = np.concatenate(([0], np.flatnonzero(sizes[1:] != sizes[:-1]) + 1, [len(sizes)]))
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

    # flags

    @cached_property
    def multi_opt(self) -> bool:
        """Two optimizers step in turn (GAN, actor and critic): the loss is not the goal."""
        return len(self.facts.get("optimizers") or ()) > 1

    @cached_property
    def several_terms(self) -> bool:
        """A step consumes several loss calls: the training loss is their sum."""
        return self.has("loss.term") and self.view("loss.term").values.shape[1] > 1

    @cached_property
    def batchnorm(self) -> bool:
        return bool((self.facts.get("layers") or {}).get("batchnorm"))

    @cached_property
    def finetune(self) -> bool:
        """Frozen parameters, or a first loss far below that of a guess: the net was trained before."""
        if self.facts.get("frozen") or self.facts.get("pretrained") or self.adapters:
            return True
        classes = self.facts.get("classes")
        return bool(classes and self.has("loss.train") and self.initial_loss < 0.5 * math.log(max(classes, 2)))

    @property
    def rl(self) -> bool:
        """Losses come from sampled actions: they are no goal."""
        return bool(self.facts.get("reinforcement"))

    @property
    def no_goal(self) -> bool:
        """The training loss is not what is to become small."""
        return self.multi_opt or self.rl

    @property
    def accumulation(self) -> int:
        """Backward passes to one optimizer step."""
        return int(self.facts.get("accumulation") or 1)

    @property
    def tiny_batch(self) -> bool:
        """Fewer than 8 samples in a step: every number of one batch is mostly noise."""
        return self.batch_size is not None and self.batch_size < 8

    @property
    def amp(self) -> bool:
        return bool(self.facts.get("amp"))

    @property
    def adapters(self) -> bool:
        """Small matrices are trained beside frozen ones (LoRA)."""
        return bool(self.facts.get("adapters"))

    @cached_property
    def cyclic(self) -> bool:
        """The learning rate rose again after it had fallen: only equal phases compare."""
        rates = self.lr_changes[1]
        falls = np.flatnonzero(np.diff(rates) < 0)
        if not len(falls):
            return False
        after = rates[falls[0] :]
        return bool(np.any(after > 1.2 * np.minimum.accumulate(after)))

    # layers

    @cached_property
    def matrices(self) -> list[int]:
        """Columns of per-parameter metrics that are weight matrices: biases and norm gains are left out."""
        return self._parameters[0]

    @cached_property
    def matrix_scales(self) -> Doubles:
        """Square root of the number of elements of each weight matrix: its norm when every element is 1."""
        return self._parameters[1]

    @cached_property
    def _parameters(self) -> tuple[list[int], Doubles]:
        """Columns and scales of the weight matrices."""
        labels = self.view("update.ratio").series.labels
        key = "parameters", labels.id if labels else None
        if key not in self._memo:
            notes = self.view("update.ratio").notes
            columns = [i for i, shape in enumerate(notes) if "x" in shape]
            self._memo[key] = columns, np.sqrt([float(size(notes[i])) for i in columns])
        found: tuple[list[int], Doubles] = self._memo[key]
        return found

    def ratios(self, view: View) -> Floats:
        """update.ratio of the weight matrices (n, m). Those that started at about zero do not count (NaN):
        any step is large against nothing."""
        ratios = view.values[:, self.matrices]
        if self.has("weight.norm"):
            norms = self.view("weight.norm")
            at = np.searchsorted(norms.steps, view.steps)
            known = (at < len(norms.steps)) & (norms.steps[np.minimum(at, len(norms.steps) - 1)] == view.steps)
            small = np.zeros(ratios.shape, bool)
            small[known] = norms.values[at[known]][:, self.matrices] < 1e-3 * self.matrix_scales
            ratios = np.where(small, np.nan, ratios)
        return ratios

    @cached_property
    def first_peak(self) -> tuple[float, int, str]:
        """Largest update.ratio of any weight matrix in the first eight steps, and up to eight steps after the end of a
        warm-up: value, step, parameter."""
        early = max(self.track.segment.first_step, self.lr_warmup_end)
        key = "first peak", early
        if key in self._memo:
            known: tuple[float, int, str] = self._memo[key]
            return known
        peak = self.peak(self.view("update.ratio").before(early + 9).thin(400))
        if self.step >= early + 9:
            self._memo[key] = peak
        return peak

    def peak(self, view: View) -> tuple[float, int, str]:
        """Largest update.ratio of any weight matrix in the view: value, step, parameter. Raises Abstain for none."""
        ratios = self.ratios(view)
        if not np.isfinite(ratios).any():
            raise Abstain("no weight matrix was measured while it moved")
        row, column = np.unravel_index(int(np.nanargmax(np.where(np.isfinite(ratios), ratios, np.nan))), ratios.shape)
        return float(ratios[row, column]), int(view.steps[row]), view.names[self.matrices[column]]

    @cached_property
    def dead(self) -> tuple[float, str]:
        """Share of dead units in the worst layer now, and its name; (0, "") where not measured."""
        if not self.has("act.dead"):
            return 0.0, ""
        view = self.view("act.dead")
        newest = np.nan_to_num(view.values[-1], nan=-1)
        if newest.max(initial=-1) < 0:
            return 0.0, ""
        worst = int(np.argmax(newest >= 0.95 * newest.max()))  # of equally dead ones the first, where it began
        return float(newest[worst]), view.names[worst]

    def dead_before(self, step: int) -> float:
        """Share of dead units in the worst layer as measured at ``step`` or before; 0 where not measured by then."""
        early = self.view("act.dead").before(step + 1).values if self.has("act.dead") else np.empty((0, 1))
        return float(np.nan_to_num(early).max(initial=0.0))

    def loss_key(self) -> str | None:
        """The outcome that goes with most mechanisms: the loss has not left its initial value. None if it has."""
        now, first = self.recent_loss(), self.initial_loss
        if now < 0.9 * first:
            return None
        return f"the loss has not fallen: {number(now)} now, {number(first)} at the start"


def shape_of(written: str) -> tuple[int, ...]:
    """Shape of a parameter that is written "128x64"; empty for a single number."""
    return tuple(int(part) for part in written.split("x")) if written else ()


def size(written: str) -> int:
    """Elements of a parameter whose shape is written "128x64"."""
    return math.prod(shape_of(written))
