"""first-steps."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import count
from ..trials import RANK, Trials, verdict_of
from . import finite, loss_type, optimizer_coverage

ELSEWHERE = {
    *finite.RULES,
    *loss_type.RULES,
    *optimizer_coverage.RULES,
    "train-val-leak",
    "label-out-of-range",
    "not-shuffled",
    "unnormalised-input",
    "unnormalised-target",
    "bad-init",
    "class-imbalance",
    "augmentation-on-validation",
    "shape-broadcast",
    "wrong-reduction",
    "loss-clipped",
    "padding-in-loss",
    "eval-mode-wrong",
    "val-in-train-mode",
    "batch-too-small",
    "scheduler-misuse",
    "below-baseline",
}
"""Rules that another check asks."""


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """What the rules of a running training found in the first steps, as far as no other check tells it.

    Why it matters
        The script ran as it is for some hundred steps: a rate that wrecks the net, dead layers and vanishing gradients
        show by then.

    How it is decided
        All rules of `nnwatch run` on these steps; the most severe finding that no other check covers. A rule that
        calls for patience keeps it: the planned steps are known, and the stop was ours.

    When it is a false alarm
        As that rule's page says.

    What to do
        As that rule says.
    """
    found = [finding for rule, finding in at.findings.items() if rule not in ELSEWHERE]
    if not found:
        return Verdict("pass", f"nothing else was found in the {count(at.step, 'step')} made", float(at.step))
    worst = max(found, key=lambda f: (f.primary, RANK.index(verdict_of(f).state)))
    said = verdict_of(worst)
    return Verdict(said.state, f"{worst.rule}: {said.what}", said.value, said.reference, said.change, said.expect)


CHECK = Check(
    "first-steps",
    "what the first steps show",
    "All live rules.",
    judge,
    follows=("input-normalisation", "target-normalisation", "initial-scale", "initial-loss", "shuffle", "lr-range"),
)
