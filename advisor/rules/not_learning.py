"""not-learning."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..baseline import trivial_loss
from ..context import Context
from ..finding import Abstain, Found, number
from ..rule import Rule
from ..window import Numbers, finite, medians

BATCH = "Overfit one small batch"
INPUTS = "Look at what enters the model"
MECHANISMS = {
    "dead-relu": "a layer is dead",
    "divergence": "the loss has diverged",
    "frozen-params": "parameters never move",
    "lr-too-high": "the first updates were far too large",
    "lr-too-low": "the updates are far too small",
    "vanishing-gradient": "the first layers get no gradient",
}


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The loss has never been better than that of a constant guess.

    Why it matters
        The net has not found any connection between input and target. Waiting seldom helps, but sometimes it does.

    How it is decided
        No block of the training loss has been under the trivial baseline (entropy of the labels, variance of the
        targets) by three standard errors and 0.2 %, after 300 steps or half of a shorter run, and an epoch. That alone
        is at most *watch*: some tasks (parity, grokking, long memory) stay flat for half the run and then are solved.
        It is *warn* with a mechanism (dead layer, wrong learning rate, frozen or vanishing), or when the run is over
        and the loss no longer falls. A loss that began higher, has come down by a fifth and still falls is slow, but no
        standstill.

    When it is a false alarm
        Late bloomers, as above; losses with weights or other reductions are not judged.

    What to do
        The mechanism, where one is named. Else train on ten samples only: a sound script brings the loss to zero. If
        it does not, the data path is broken: labels shuffled against inputs, inputs constant, wrong loss.
    """
    if not at.has("loss.train"):
        raise Abstain("the training loss is not measured")
    baseline, meaning = trivial_loss(at)
    if at.step < at.track.segment.first_step + _patience(at, limit):
        raise Abstain("too early: the first part of the run is allowed to be flat")
    values = finite(at.loss.thin(1200).scalar)
    if len(values) < 15:
        raise Abstain("too few finite losses")
    size = min(60, len(values))
    blocks = values[len(values) % size :].reshape(-1, size)
    levels = medians(blocks)
    spread = 1.4826 * medians(np.abs(blocks - levels[:, None]))
    errors = np.maximum(1.25 * spread / np.sqrt(size), 1e-4 * baseline)  # of a median
    best = int(np.argmin(levels))
    if levels[best] < baseline - max(limit["errors"] * errors[best], limit["least"] * baseline) or _coming(
        at, levels, limit
    ):
        return None
    keys = [f"the best part of the run has a loss of {number(float(levels[best]))}, a guess has {number(baseline)}"]
    keys += [text for rule, text in MECHANISMS.items() if rule in at.opened][:1]
    if at.over and not at.falling:
        keys.append("the run is over")
    return Found(
        "warn",
        f"loss {number(float(levels[-1]))}, no better than a guess: {number(baseline)} ({meaning})",
        tuple(keys),
        at.track.segment.first_step + 1,
        (Evidence("loss.train", float(levels[best]), baseline, "best block against the trivial baseline", 1, at.step),),
        (
            Remedy(BATCH, "the whole data set → the same 10 samples in every step, no regularisation",
                   "the loss falls under 1 % of its first value within 500 steps"),
            Remedy(INPUTS, "trust → print one batch as the loss sees it: inputs, targets, outputs",
                   "inputs vary, targets belong to them, outputs differ between samples"),
        ),
        "If ten samples can be learned, the script is sound: range-test the learning rate, then a larger net.",
    )  # fmt: skip


def _coming(at: Context, levels: Numbers, limit: Mapping[str, float]) -> bool:
    """The loss started far above a guess and still comes down to it: slow, but no standstill."""
    return at.falling and float(levels[-1]) < limit["coming"] * at.first_loss


def _patience(at: Context, limit: Mapping[str, float]) -> float:
    """Steps that may be flat: 300, less in a short run, an epoch and 5 % of the plan at least."""
    planned = at.planned or 0
    short = max(60.0, 0.5 * planned) if planned else limit["steps"]
    epoch = float(at.facts.get("steps_per_epoch") or 0)
    return max(min(limit["steps"], short), min(epoch, at.horizon / 2), 0.05 * planned)


RULE = Rule(
    "not-learning",
    "the net is not learning",
    "statistical",
    ("loss.train", "target.count", "target.mean", "target.std"),
    (BATCH, INPUTS),
    "Small runs: a flat loss at the baseline was a false alarm on three of three late bloomers with any detector, "
    "hence *watch* without a mechanism.",
    check,
    {"steps": 300, "errors": 3, "least": 2e-3, "coming": 0.8},
    slow=True,
    goal=True,
)
