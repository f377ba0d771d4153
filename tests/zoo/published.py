"""The published rule sets on the very same recordings, with their own thresholds.

Each rule is a small pure function of the columns of a run and says whether it fires anywhere in it. What a rule is
taken to mean is generous: any cause that its documentation names counts. Steps from 21 on are sampled every second
time, which changes none of these thresholds. Sources: SageMaker Debugger's documentation of its built-in rules;
AutoTrainer (Zhang et al. 2021), section V-D; TheDeepChecker (Ben Braiek and Khomh 2022), settings.yaml; UMLAUT
(Schoop et al. 2021), heuristics.py. Rules that these recordings cannot decide are listed, and never count.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnwatch.history import History, Track

Floats = NDArray[np.float64]
NAN = ("nan-input", "nan-loss-fn", "nan-backward", "divergence", "exploding-gradient", "lr-too-high")
FLAT = ("lr-too-low", "vanishing-gradient", "dead-relu", "underfitting", "undertrained")


class Run:
    """The columns that the published rules look at; those of a metric that was not measured are empty."""

    def __init__(self, history: History) -> None:
        self.track = history.main or Track.__new__(Track)
        self.facts = history.facts_of(self.track) if history.main else {}

    def column(self, metric: str) -> Floats:
        """(n,) of a metric with one number a record."""
        return self.table(metric)[:, 0]

    def table(self, metric: str) -> Floats:
        """(n, width)."""
        series = self.track.get(metric)
        return series.values.astype(float) if series is not None else np.empty((0, 1))

    @property
    def loss(self) -> Floats:
        return self.column("loss.train")

    def matrices(self, metric: str) -> Floats:
        """(n, m): the weight matrices among the parameters, in the order of the net."""
        series = self.track.get(metric)
        if series is None or series.labels is None:
            return np.empty((0, 1))
        kept = [i for i, shape in enumerate(series.labels.notes) if "x" in shape]
        return series.values[:, kept].astype(float)

    def sizes(self, metric: str) -> Floats:
        """Elements of each weight matrix (m,) that the metric knows."""
        series = self.track.get(metric)
        shapes = series.labels.notes if series is not None and series.labels else []
        return np.array([math.prod(map(int, shape.split("x"))) for shape in shapes if "x" in shape], float)

    def validation(self) -> tuple[Floats, Floats, Floats]:
        """Validation loss and accuracy of each evaluation (e,), and the mean training loss up to it since the last."""
        seen = self.track.evaluations()
        series = self.track.get("loss.train")
        if series is None or not len(seen.steps):
            return np.empty(0), np.empty(0), np.empty(0)
        edges = np.searchsorted(series.steps, [0, *seen.steps], side="right")
        parts = [series.scalar[a:b] for a, b in itertools.pairwise(edges)]
        return seen.loss, seen.accuracy, np.array([part.mean() if len(part) else np.nan for part in parts])

    def nonfinite(self) -> bool:
        return bool((~np.isfinite(self.loss)).any() or (~np.isfinite(self.column("grad.norm"))).any())


class Published(NamedTuple):
    """A rule of someone else: what it says is wrong, and when it fires."""

    name: str
    causes: tuple[str, ...]
    fires: Callable[[Run], bool]


def _mean_gradient(run: Run) -> Floats:
    """Mean |g| of each matrix, from its norm: that of a normal distribution."""
    norms = run.matrices("grad.norm.layer")
    return np.sqrt(2 / np.pi) * norms / np.sqrt(run.sizes("grad.norm.layer")) if norms.size else norms


def _overfit(run: Run) -> bool:
    val, _, train = run.validation()
    return bool(((val - train) / np.maximum(train, 1e-12) > 0.1).any())


def _class_imbalance(run: Run) -> bool:
    counts, right = run.table("target.count").sum(0), run.table("right.count").sum(0)
    if counts.size < 2 or not counts.any():
        return False
    seldom = counts.max() > 10 * np.maximum(counts, 1e-12)
    missed = 1 - right / np.maximum(counts, 1) > 0.7 if right.shape == counts.shape else np.ones(len(counts), bool)
    return bool((seldom & missed).any())


def _not_decreasing(run: Run) -> bool:
    loss = run.loss
    return bool((loss[10:] >= loss[:-10]).any()) if len(loss) > 10 else False


def _poor_init(run: Run) -> bool:
    norms = run.matrices("weight.norm")[:1]
    if not norms.size:
        return False
    variance = norms[0] ** 2 / run.sizes("weight.norm")
    return bool(variance.max() > 10 * max(variance.min(), 1e-30))


SAGEMAKER = (
    Published("WeightUpdateRatio", ("lr-too-high",), lambda run: bool((run.matrices("update.ratio") > 10).any())),
    Published(
        "WeightUpdateRatio, small", ("lr-too-low", "frozen-params"),
        lambda run: bool((run.matrices("update.ratio") < 1e-8).any()),
    ),
    Published("VanishingGradient", ("vanishing-gradient",), lambda run: bool((_mean_gradient(run) < 1e-7).any())),
    Published("DeadRelu", ("dead-relu",), lambda run: bool((run.table("act.dead") > 0.5).any())),
    Published("Overfit", ("overfitting",), _overfit),
    Published("ClassImbalance", ("class-imbalance",), _class_imbalance),
    Published("LossNotDecreasing", FLAT, _not_decreasing),
    Published("PoorWeightInitialization", ("bad-init",), _poor_init),
    Published("ExplodingTensor", NAN, Run.nonfinite),
)  # fmt: skip


def _accuracy(run: Run) -> Floats:
    """Training accuracy at every third step that it was taken of."""
    return run.column("accuracy.train")[::3]


def _bad_accuracy(run: Run) -> bool:
    accuracy = _accuracy(run)
    return accuracy.size > 0 and float(np.nanmax(accuracy)) <= 0.6


def _vanishing(run: Run) -> bool:
    norms = run.matrices("grad.norm.layer")[::3]
    if norms.shape[1] < 2:
        return False
    first, last = norms[:, 0], norms[:, -1]
    return bool(((first < 1e-4) & (first / np.maximum(last, 1e-30) < 1e-3)).any()) and _bad_accuracy(run)


def _exploding(run: Run) -> bool:
    norms = run.matrices("grad.norm.layer")[::3]
    if run.nonfinite() or (run.validation()[0] >= 1e5).any():
        return True
    return norms.shape[1] > 1 and bool((norms[:, 0] > 70 * norms[:, -1]).any()) and _bad_accuracy(run)


def _oscillating(run: Run) -> bool:
    accuracy = _accuracy(run)
    return accuracy.size > 5 and float((np.abs(np.diff(accuracy)) >= 0.03).mean()) >= 0.2 and _bad_accuracy(run)


def _slow(run: Run) -> bool:
    accuracy = _accuracy(run)
    return accuracy.size > 5 and float(np.nanmax(accuracy) - np.nanmin(accuracy[:5])) < 0.01 and _bad_accuracy(run)


AUTOTRAINER = (
    Published("vanishing gradient", ("vanishing-gradient", "bad-init"), _vanishing),
    Published("exploding gradient", ("exploding-gradient", *NAN), _exploding),
    Published(
        "dying ReLU", ("dead-relu", "lr-too-high"),
        lambda run: bool((run.matrices("grad.zeros") >= 0.7).any()) and _bad_accuracy(run),
    ),
    Published("oscillating loss", ("oscillation", "lr-too-high", "batch-too-small"), _oscillating),
    Published("slow convergence", ("lr-too-low", "undertrained"), _slow),
)  # fmt: skip


def _checks(values: Floats) -> Floats:
    """Means of blocks of ten steps: one check."""
    whole: Floats = values[: len(values) // 10 * 10].reshape(-1, 10)
    return np.asarray(whole.mean(1))


def _stagnating(run: Run) -> bool:
    loss = _checks(run.loss)
    return len(loss) > 5 and bool((loss[:-5] - loss[5:] < 0.05 * np.abs(loss[:-5])).any())


def _log_updates(run: Run) -> Floats:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log10(run.matrices("update.ratio")))


def _initial_loss(run: Run) -> bool:
    classes, loss = run.facts.get("classes"), run.loss
    return bool(classes and loss.size and abs(loss[0] - math.log(classes)) > math.log(classes))


def _mode_switch(run: Run) -> bool:
    evaluated, trained = run.track.get("loss.train.eval"), run.track.get("loss.train")
    if evaluated is None or trained is None or not len(evaluated):
        return False
    at = np.searchsorted(trained.steps, evaluated.steps)
    other = trained.scalar[np.minimum(at, len(trained) - 1)]
    return bool((np.abs(evaluated.scalar - other) > 0.5 * np.abs(other)).any())


def _perplexity(run: Run) -> bool:
    counts = run.table("target.count").sum(0)
    if counts.size < 2 or not counts.any():
        return False
    share = counts[counts > 0] / counts.sum()
    return bool(np.exp(-(share * np.log(share)).sum()) / len(counts) < 0.5)


DEEPCHECKER = (
    Published("updates too large", ("lr-too-high", "divergence"), lambda run: bool((_log_updates(run) > -1).any())),
    Published(
        "updates too small", ("lr-too-low", "frozen-params", "vanishing-gradient"),
        lambda run: bool((_log_updates(run) < -4).any()),
    ),
    Published("gradients vanish", ("vanishing-gradient",), lambda run: bool((_mean_gradient(run) < 1e-6).any())),
    Published("gradients explode", ("exploding-gradient", *NAN), lambda run: bool((_mean_gradient(run) > 1e6).any())),
    Published("dead layer", ("dead-relu",), lambda run: bool((run.table("act.dead") > 0.5).any())),
    Published(
        "activations out of range", ("bad-init", "unnormalised-input", "exploding-gradient", "vanishing-gradient"),
        lambda run: bool(((run.table("act.std") < 0.5) | (run.table("act.std") > 2)).any()),
    ),
    Published("loss stagnates", FLAT, _stagnating),
    Published(
        "loss diverges", ("lr-too-high", "divergence", "wrong-loss-sign"),
        lambda run: bool((_checks(run.loss) > 2 * np.minimum.accumulate(_checks(run.loss))).any()),
    ),
    Published("not a number", NAN, Run.nonfinite),
    Published("initial loss", ("bad-init", "unnormalised-input", "wrong-reduction", "wrong-loss"), _initial_loss),
    Published("mode switch", ("batchnorm-stats", "eval-mode-wrong", "val-in-train-mode"), _mode_switch),
    Published("label perplexity", ("class-imbalance",), _perplexity),
)  # fmt: skip


def _umlaut_overfit(run: Run) -> bool:
    val, _, train = run.validation()
    return bool(((np.diff(val) > 0) & (np.diff(train) < 0)).any())


def _umlaut_leak(run: Run) -> bool:
    _, val, _ = run.validation()
    trained = run.column("accuracy.train")
    late = val[3:]
    return bool((late > 0.95).any() or (trained.size and (late > np.nanmean(trained[-20:]) + 0.05).any()))


UMLAUT = (
    Published("learning rate high", ("lr-too-high", "divergence"), lambda run: bool((run.table("lr") > 0.01).any())),
    Published("learning rate low", ("lr-too-low",), lambda run: bool((run.table("lr") < 1e-7).any())),
    Published(
        "input not in [-1, 1]", ("unnormalised-input",),
        lambda run: bool((run.column("input.max") > 1).any() or (run.column("input.min") < -1).any()),
    ),
    Published("not a number in loss", NAN, lambda run: bool((~np.isfinite(run.loss)).any())),
    Published("overfitting", ("overfitting",), _umlaut_overfit),
    Published("accuracy unusually high", ("train-val-leak",), _umlaut_leak),
    Published(
        "dropout over a half", ("dropout-too-high",),
        lambda run: any(p > 0.5 for _, p in run.facts.get("dropout") or ()),
    ),
)  # fmt: skip
SETS: Mapping[str, Sequence[Published]] = {
    "SageMaker Debugger": SAGEMAKER,
    "AutoTrainer": AUTOTRAINER,
    "TheDeepChecker": DEEPCHECKER,
    "UMLAUT": UMLAUT,
}
NOT_EVALUATED = {
    "SageMaker Debugger": "SaturatedActivation (its limit of 9.5 is on what enters tanh), AllZero, "
    "UnchangedTensor, Tree, NLP and the profiler's rules",
    "AutoTrainer": "none of the five; accuracy stands in on classification only, as in the paper",
    "TheDeepChecker": "saturation, smoothness of the loss, overfit on one batch, gradient check, corrupted labels, "
    "augmentation, similarity of activations",
    "UMLAUT": "missing softmax and missing activations (in PyTorch the loss takes logits), image size",
}


def fired(history: History) -> dict[str, list[str]]:
    """Which rules of each set fire anywhere in the run."""
    if history.main is None:
        return {name: [] for name in SETS}
    run = Run(history)
    with np.errstate(all="ignore"):
        return {name: [rule.name for rule in rules if rule.fires(run)] for name, rules in SETS.items()}
