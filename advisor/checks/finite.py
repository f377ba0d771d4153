"""finite."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import count
from ..trials import Trials

RULES = ("nan-input", "nan-loss-fn", "nan-backward", "nan-optimizer", "amp-overflow", "divergence")


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Whether losses, gradients and weights stay finite in the first steps.

    Why it matters
        What breaks in the first hundred steps breaks for sure.

    How it is decided
        The rules on NaN, overflow and divergence, on the script as it is: they name the first operation, layer and
        sample that was not finite.

    When it is a false alarm
        None is known: a NaN is a NaN.

    What to do
        In this order: the samples named, the loss function, the rate ÷ 10, gradient clipping.
    """
    return at.by_rules(RULES, f"no NaN, no infinity, no divergence in the {count(at.step, 'step')} made")


CHECK = Check(
    "finite",
    "numbers that stay finite",
    "Notes D65-81, C350-358. Exact.",
    judge,
    follows=("corrupt", "label-range", "input-normalisation", "target-normalisation", "lr-range"),
)
