"""Hints on the way of working, between runs: never an alarm, and only where the runs themselves give the reason.

They come from the notes' part on workflow: one change at a time, the learning rate first, several seeds before a
change is believed, log scales, random search, coarse before fine. Pure: runs in, hints out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

RATE = ("lr-too-high", "lr-too-low", "lr-needs-decay", "lr-decay-too-early", "divergence", "oscillation")
REGULARISATION = ("weight_decay", "dropout")
_SEARCH = 20
"""Runs from which a search that learns from earlier ones is worth its set-up."""
_GRID = 6
_LONG = 6 * 3600.0
_DECADES = 2.0


class Trial(NamedTuple):
    """One run, as far as another can be compared with it. ``settings`` are names and plain values; ``loss`` is its
    best validation loss (training loss where there is none), None where there is none; ``seconds`` what it took, or
    will take as planned."""

    name: str
    settings: Mapping[str, Any]
    findings: frozenset[str]
    loss: float | None
    seconds: float
    metrics: frozenset[str]
    dirty: bool
    """Its code was changed and not committed."""


class Hint(NamedTuple):
    id: str
    text: str


def changed(before: Trial, after: Trial) -> list[str]:
    """Names of the settings that differ, in the order of the later run."""
    names = [*after.settings, *(name for name in before.settings if name not in after.settings)]
    return [name for name in names if before.settings.get(name) != after.settings.get(name)]


def hints(trials: Sequence[Trial], shown: bool | None) -> list[Hint]:
    """What the way from the first of these runs to the last suggests. ``shown``: whether the difference between the
    last two is beyond the noise, None where that cannot be told."""
    if len(trials) < 2:
        return []
    before, after = trials[-2:]
    return [
        *_one_change(before, after),
        *_seeds(before, after, shown),
        *_order(before, after),
        *_two_stage(before, after),
        *(hint for look in _LOOKS for hint in look(trials)),
    ]


def _one_change(before: Trial, after: Trial) -> list[Hint]:
    names = changed(before, after)
    if len(names) < 2:
        return []
    said = ", ".join(names[:4]) + (" ..." if len(names) > 4 else "")
    text = f"{len(names)} settings changed at once ({said}): what each of them did cannot be told; change one"
    return [Hint("one-change", text)]


def _seeds(before: Trial, after: Trial, shown: bool | None) -> list[Hint]:
    if shown is False and changed(before, after):
        return [Hint("seeds", "the difference is within the noise: train each with three seeds before you believe it")]
    return []


def _order(before: Trial, after: Trial) -> list[Hint]:
    open_ = [rule for rule in RATE if rule in before.findings and rule in after.findings]
    names = changed(before, after)
    if not open_ or not names or any(_last(name) == "lr" for name in names):
        return []
    text = f"both runs have {open_[0]} and {names[0]} was tuned: the learning rate comes first, all else depends on it"
    return [Hint("order", text)]


def _two_stage(before: Trial, after: Trial) -> list[Hint]:
    unfit = {"underfitting", "not-learning"} & before.findings & after.findings
    names = [name for name in changed(before, after) if _last(name) in REGULARISATION]
    if not unfit or not names:
        return []
    return [Hint("two-stage", f"{names[0]} was tuned while the training data are not fitted yet: fit them first")]


def _scale(trials: Sequence[Trial]) -> list[Hint]:
    rates = sorted({rate for rate in map(_rate, trials) if rate})
    if len(rates) < 3 or rates[-1] / rates[0] > 2:
        return []
    text = (
        f"{len(rates)} learning rates between {rates[0]:.3g} and {rates[-1]:.3g}: step by factors of 3, on a log scale"
    )
    return [Hint("scale", text)]


def _coarse_fine(trials: Sequence[Trial]) -> list[Hint]:
    rates = [rate for rate in map(_rate, trials) if rate]
    total = sum(trial.seconds for trial in trials)
    if len(trials) < 4 or total < _LONG or math.log10(max(rates, default=1) / min(rates, default=1)) < _DECADES:
        return []
    text = f"{len(trials)} whole runs at rates from {min(rates):.3g} to {max(rates):.3g}: search wide with short ones"
    return [Hint("coarse-fine", text)]


def _random(trials: Sequence[Trial]) -> list[Hint]:
    """Every combination of a few values of two settings: each of them was tried with few values only."""
    names = sorted({name for a, b in pairwise(trials) for name in changed(a, b)})
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            pairs = {(str(t.settings.get(one)), str(t.settings.get(other))) for t in trials}
            ones, others = {a for a, _ in pairs}, {b for _, b in pairs}
            if len(pairs) >= _GRID and min(len(ones), len(others)) > 1 and len(pairs) == len(ones) * len(others):
                text = f"{len(pairs)} runs tried {len(ones)} values of {one}: drawn at random it would be {len(pairs)}"
                return [Hint("random", text)]
    return []


def _bayesian(trials: Sequence[Trial]) -> list[Hint]:
    if len(trials) <= _SEARCH:
        return []
    return [Hint("bayesian", f"{len(trials)} runs: a search that learns from earlier ones (Optuna's TPE) pays by now")]


def _subsample(trials: Sequence[Trial]) -> list[Hint]:
    longest = max(trials, key=lambda trial: trial.seconds)
    if longest.seconds < _LONG or len(trials) < 3:
        return []
    text = (
        f"runs of {longest.seconds / 3600:.0f} h to try settings: 1 % of the data or two classes show most faults; "
        "the learning rate does not carry over, the number of steps is another"
    )
    return [Hint("subsample", text)]


def _start(trials: Sequence[Trial]) -> list[Hint]:
    optimizers = {str(value) for t in trials for name, value in t.settings.items() if name.endswith(".class")}
    if len(trials) > 4 or any("Adam" in name for name in optimizers):
        return []
    if all({"not-learning", *RATE} & trial.findings for trial in trials):
        text = "no run has worked yet: begin with the nearest paper's architecture as it is, and Adam at 3e-4"
        return [Hint("start", text)]
    return []


def _log(trials: Sequence[Trial]) -> list[Hint]:
    if not (trials[-1].dirty and trials[-2].dirty):
        return []
    return [Hint("log", "both runs are of code that was not committed: what was changed in it will not be known later")]


def _validation_only(trials: Sequence[Trial]) -> list[Hint]:
    tests = [sorted(m for m in t.metrics if m.startswith("user.") and "test" in m.lower()) for t in trials]
    if sum(1 for names in tests if names) < 2 or not changed(trials[-2], trials[-1]):
        return []
    name = next(names[0] for names in tests if names)
    return [
        Hint(
            "validation-only", f"{name} was looked at in several runs: tune on validation data, keep the test for last"
        )
    ]


def _rate(trial: Trial) -> float | None:
    for name, value in trial.settings.items():
        if _last(name) == "lr":
            rates = value if isinstance(value, list) else [value]
            return max((float(rate) for rate in rates if isinstance(rate, int | float)), default=None)
    return None


def _last(name: str) -> str:
    return name.rpartition(".")[2]


_LOOKS: tuple[Callable[[Sequence[Trial]], list[Hint]], ...] = (
    *(_scale, _coarse_fine, _random, _bayesian, _subsample, _start, _log, _validation_only),
)
IDS = (
    *("one-change", "seeds", "order", "two-stage", "scale", "coarse-fine", "random", "bayesian", "subsample"),
    *("start", "log", "validation-only"),
)
