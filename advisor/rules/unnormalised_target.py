"""unnormalised-target."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number
from ..rule import Rule
from ..script import loss
from ..window import finite, median
from .unnormalised_input import TROUBLE

NORMALISE = "Normalise the target"
BIAS = "Start the output at the mean of the targets"
REGRESSION = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The regression targets are far from zero mean and unit variance.

    Why it matters
        A net starts with outputs of about 0 +- 1. With targets of 10,000 the first loss is a hundred million, its
        gradient throws the weights out of their range, or hundreds of epochs go into moving the last bias.

    How it is decided
        Mechanism: a standard deviation over 10, or a mean of over ten standard deviations. Outcome: trouble that it
        explains (divergence, NaN, dead layers), a loss that has not fallen after 60 steps, or, after a fifth of the
        run, one that is still over the variance of the targets. Alone it is *watch*, until the net beats their mean.

    When it is a false alarm
        A rate that was tuned for these very targets.

    What to do
        Train on (y - mean) / std and turn it back for the numbers you report. If targets must stay, start the last bias
        at their mean.
    """
    name = str(loss(at).get("name"))
    if name not in REGRESSION or at.facts.get("reinforcement"):
        raise Abstain("no regression on given targets")
    means, stds = (finite(at.view(f"target.{kind}").thin(200).scalar) for kind in ("mean", "std"))
    if not len(means) or not len(stds):
        raise Abstain("the targets are not measured")
    mean, std = float(np.mean(means)), float(np.sqrt(np.mean(stds**2) + np.var(means)))
    if not (std > limit["std"] or (abs(mean) > limit["offset"] * std and abs(mean) > limit["offset"])):
        return None
    outcome = _outcome(at, limit, std**2 if name == "mse_loss" else std)
    severity: Severity = "warn"
    keys = [f"the targets have mean {number(mean)} and standard deviation {number(std)}"]
    if outcome:
        keys.append(outcome)
    elif at.recent_loss() < 0.5 * (std**2 if name == "mse_loss" else std):
        return None
    else:
        severity = "watch"
    begin = at.track.segment.first_step + 1
    return Found(
        severity,
        f"the targets have mean {number(mean)} and standard deviation {number(std)} (reference 0 and 1)",
        tuple(keys),
        begin,
        (
            Evidence("target.std", std, 1.0, "standard deviation of the targets", begin, at.step),
            Evidence("target.mean", mean, 0.0, "mean of the targets", begin, at.step),
        ),
        (
            Remedy(NORMALISE, f"y → (y - {number(mean)}) / {number(std)}", "the first loss is about 1 and falls"),
            Remedy(BIAS, f"last bias about 0 → {number(mean)}", f"the first loss is about {number(std**2)}"),
        ),
        "If targets span orders of magnitude, train on their logarithm.",
    )


def _outcome(at: Context, limit: Mapping[str, float], guess: float) -> str | None:
    for rule, text in TROUBLE.items():
        if rule in at.opened:
            return text
    first = at.track.segment.first_step
    if at.step >= first + max(60, limit["part"] * at.horizon) and median(at.window(at.loss).scalar) > 1.1 * guess:
        return f"the loss is {number(at.recent_loss())}, always the mean of the targets has {number(guess)}"
    return at.loss_key() if at.step >= first + 60 else None


RULE = Rule(
    "unnormalised-target",
    "the target is not normalised",
    "statistical",
    ("target.mean", "target.std", "loss.train"),
    (NORMALISE, BIAS),
    "Notes C67, C180, C358 (label 10,000 against output 0), B30 (start the bias at the mean).",
    check,
    {"std": 10, "offset": 10, "part": 0.2},
)
