"""saturated-activation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..fixes import VANISH, remedies, titles
from ..place import of_layer
from ..rule import Rule
from ..window import column_medians

INPUT = "Normalise the input"
SMALLER = "Start with smaller weights"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Most outputs of a tanh or sigmoid layer lie at its flat ends, where no gradient passes.

    Why it matters
        What is in front of such a layer learns slowly or not at all: the slope at |tanh| = 0.97 is 6 % of that at 0.

    How it is decided
        Mechanism: over 70 % of the outputs of a hidden layer lie beyond 0.97 (tanh) or outside 0.03 to 0.97 (sigmoid),
        median over the last sampled steps after the warm-up. Outcome: the loss has not left its first value. Without
        it, *watch* from 90 % on.

    When it is a false alarm
        The last activation of the net (a confident output is meant to be at the end: judged with the outcome only), and
        gates of recurrent layers, which are not looked at. Where the loss is no goal (a GAN, whose discriminator may
        be sure of itself) it is *watch* at most.

    What to do
        Inputs of mean 0 and standard deviation 1, weights of standard deviation 1/sqrt(fan_in), a normalisation in
        front of the activation, or ReLU.
    """
    view = at.late(at.view("act.saturated")).last(20)
    if at.step < max(at.warmup, 20) or len(view.steps) < limit["samples"]:
        raise Abstain("it needs five sampled steps after the warm-up")
    shares = at.once(
        f"saturated, {len(view.steps)} records",
        ("act.saturated",),
        lambda: np.nan_to_num(column_medians(view.values), nan=-1.0),
    )
    worst = int(np.argmax(shares))
    share, layer = float(shares[worst]), view.names[worst]
    outcome = None if at.no_goal else at.loss_key()
    if not at.exceeds(share, limit["share"] if outcome else limit["alone"]):
        return None
    if not outcome and layer == view.names[-1]:
        return None
    keys = [f"{percent(share)} of the outputs of {layer} lie at its flat ends"]
    severity: Severity = "watch"
    if outcome:
        keys.append(outcome)
        severity = "warn"
    expect = f"under 50 % of the outputs of {layer} lie at its ends"
    advice = [Remedy(SMALLER, f"weights in front of {layer} → xavier_normal_{of_layer(at, layer)}", expect)]
    if at.has("input.std"):
        mean, std = float(at.view("input.mean").scalar[0]), float(at.view("input.std").scalar[0])
        if abs(mean) > 1 or not 0.2 < std < 5:
            change = f"mean {number(mean)}, std {number(std)} → (x - {number(mean)}) / {number(std)}"
            advice.insert(0, Remedy(INPUT, change, expect))
    return Found(
        severity,
        f"{percent(share)} of {layer} is saturated (reference {percent(limit['share'])})",
        tuple(keys),
        int(view.steps[0]),
        (Evidence("act.saturated", share, limit["share"], "share of outputs at the ends", int(view.steps[0]), at.step,
                  layer),),
        (*advice, *remedies(at, (VANISH[0], VANISH[2]), expect, 3 - len(advice))),
        "If it saturates again from a small start, lower the learning rate: large steps drive it there.",
        layer=layer,
    )  # fmt: skip


RULE = Rule(
    "saturated-activation",
    "saturated activations",
    "statistical",
    ("act.saturated", "loss.train", "input.mean", "input.std"),
    (INPUT, SMALLER, *titles(VANISH)),
    "Note D11; TheDeepChecker (85 % of the outputs of half the units).",
    check,
    {"share": 0.7, "alone": 0.9, "samples": 5},
)
