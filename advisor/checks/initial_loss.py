"""initial-loss."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..baseline import untrained_loss
from ..check import Check, Verdict
from ..finding import Abstain, number
from ..place import of_loss
from ..script import loss
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """The first loss against that of a guess.

    Why it matters
        It is known before the training: ln C for C classes, the entropy of the prior, the variance of the targets. A
        first loss far from it is a bug in the data, the loss or the initialisation, found in one step.

    How it is decided
        The loss of the untrained net over that of a guess: over 1.5 times is a warning, over 3 times an error,
        where it is more than three standard errors away, too. Under half of it the net knows the answer: a warning
        unless it was trained before. Squares grow with the targets: 10 and 100 times there, and no lower bound.

    When it is a false alarm
        Weighted and summed losses have another guess and are not judged.

    What to do
        Look at the scale of inputs and targets first, then at the initialisation of the last layer.
    """
    if at.no_goal:
        raise Abstain("the first loss of this training says nothing")
    guess, meaning = untrained_loss(at)
    name = str(loss(at).get("name") or "")
    first, squared = at.initial_loss, name == "mse_loss"
    ratio, apart = first / max(guess, 1e-12), abs(first - guess) > 3 * _error(at)
    said = f"the first loss is {number(first)}, that of a guess {number(guess)} ({meaning})"
    high, far = (limit["squared"], 10 * limit["squared"]) if squared else (limit["high"], limit["far"])
    if ratio > high and apart:
        spread = (
            f", logits of deviation {number(float(at.view('output.std').scalar[0]))}" if at.has("output.std") else ""
        )
        factor = f"the last layer{of_loss(at)} → weights times {number(max(0.01, 1 / ratio))}"
        change = f"targets{of_loss(at)} → (y - mean) / deviation" if squared else factor
        return Verdict(
            "error" if ratio > far else "warn",
            said + spread,
            first,
            guess,
            change,
            f"the first loss is about {number(guess)}",
        )
    trained = at.facts.get("frozen") or at.facts.get("pretrained") or at.adapters
    if ratio < limit["low"] and apart and not trained and not squared:
        return Verdict(
            "warn",
            f"{said}: the untrained net knows the answer already",
            first,
            guess,
            "inputs as they are → without the label, or what tells it",
            f"the first loss is about {number(guess)}",
        )
    return Verdict("pass", said, first, guess)


def _error(at: Trials) -> float:
    """Standard error of the first loss, from the losses of its samples; 0 where these are not known."""
    if not at.has("loss.train.each"):
        return 0.0
    each = at.view("loss.train.each").values[0]
    each = each[np.isfinite(each)]
    return float(np.std(each) / np.sqrt(len(each))) if len(each) > 1 else 0.0


CHECK = Check(
    "initial-loss",
    "the first loss is that of a guess",
    "Notes C67, B30. Measured: sound nets begin at 1.00 to 1.10 times ln C, raw pixels at 9 to 104 times.",
    judge,
    {"high": 1.5, "far": 3, "low": 0.5, "squared": 10},
    follows=(
        "input-normalisation",
        "target-normalisation",
        "broadcast",
        "loss-type",
        "causal-leak",
        "index-off-by-one",
        "initial-scale",
        "pretrained-normalisation",
    ),
)
