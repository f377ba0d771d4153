"""modes."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..script import has_modes
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Whether dropout and BatchNorm train in training mode and are tested in evaluation mode.

    Why it matters
        model.eval() once and never model.train() again switches dropout off for good; no model.eval() tests another
        net than the one that is used.

    How it is decided
        Exact: the modes of the layers in training steps and in validation batches (rules val-in-train-mode and
        eval-mode-wrong). A script that was stopped before its first validation is judged on its training only.

    When it is a false alarm
        Monte Carlo dropout, and frozen BatchNorm: these are named by the rules.

    What to do
        model.train() at the begin of each epoch, model.eval() before each validation.
    """
    if not has_modes(at):
        return None
    return at.by_rules(("eval-mode-wrong", "val-in-train-mode"), "layers with two modes were in the right one")


CHECK = Check("modes", "training and evaluation mode", "Exact.", judge)
