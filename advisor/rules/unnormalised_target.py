"""unnormalised-target."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..entering import entering
from ..finding import Abstain, Found, number, percent
from ..place import of_loss
from ..rule import Rule
from ..scale import off_scale, trouble
from ..script import loss
from ..window import finite, median

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
        explains (divergence, NaN, dead layers), a loss that has not fallen in half of the plan (60 to 200 steps), or,
        after a fifth of the run, one that is still over the variance of the targets. Alone it is *watch*, until the net
        beats their mean. Of the second of two losses: its first value (the root of a squared error) is over 10, and in
        the second half of the plan four fifths are left. Where the loss is written by hand, and no target is seen: a
        first loss of over 10,000 with activations of the usual scale, half of which, or more than that, is left after
        half of the plan (four fifths of one of over 1,000). Targets that the net makes itself are not judged.

    When it is a false alarm
        A rate that was tuned for these very targets.

    What to do
        Train on (y - mean) / std and turn it back for the numbers you report. If targets must stay, start the last
        bias at their mean.
    """
    name = str(loss(at).get("name"))
    if not loss(at):
        return _unseen(at, limit)
    if at.several_terms and (found := _term(at, limit)):
        return found
    if name not in REGRESSION or at.facts.get("reinforcement") or at.moving_targets:
        raise Abstain("no regression on given targets")
    means, stds = (finite(at.view(f"target.{kind}").thin(200).scalar).astype(np.float64) for kind in ("mean", "std"))
    if not len(means) or not len(stds):
        raise Abstain("the targets are not measured")
    mean, std = float(np.mean(means)), float(np.sqrt(np.mean(stds**2) + np.var(means)))
    if not (std > limit["std"] or (abs(mean) > limit["offset"] * std and abs(mean) > limit["offset"])):
        return None
    guess = std**2 if name == "mse_loss" else std
    outcome = _outcome(at, limit, guess)
    if not outcome and at.recent_loss() < 0.5 * guess:
        return None
    remedies = (
        Remedy(
            NORMALISE, f"y{of_loss(at)} → (y - {number(mean)}) / {number(std)}", "the first loss is about 1 and falls"
        ),
        Remedy(BIAS, f"last bias about 0 → {number(mean)}", f"the first loss is about {number(guess)}"),
    )
    mechanism = f"the targets have mean {number(mean)} and standard deviation {number(std)}"
    otherwise = "If targets span orders of magnitude, train on their logarithm."
    return off_scale(at, "target", mean, std, (mechanism, outcome), remedies, otherwise)


def _term(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Of several losses only the first one's targets are seen. Another that compares numbers says by its own value how
    far off they are, and that it stays so."""
    if at.no_goal or at.step < at.track.segment.first_step + max(60, 0.5 * at.horizon):
        return None
    terms = at.view("loss.term")
    for column, name in enumerate(terms.names[1:], 1):
        kind = name.split()[0]
        first, now = median(terms.values[:20, column]), median(terms.values[-20:, column])
        size = math.sqrt(max(first, 0.0)) if kind == "mse_loss" else first
        if kind in REGRESSION and size > limit["std"] and now > limit["most"] * first:
            begin = at.track.segment.first_step + 1
            return Found(
                "warn",
                f"{name} began at {number(first)} and is {number(now)}: the output has far to go",
                (
                    f"outputs of about 0 are {number(size)} away from the targets",
                    f"{percent(now / first)} of it is left after {at.step} steps",
                ),
                begin,
                (Evidence("loss.term", now, first, "newest values against the first", begin, at.step, name),),
                (Remedy(NORMALISE, f"the targets of {name} → divided by {number(size)}", f"{name} begins at about 1"),),
                "If these targets are about 1, the term is a sum: make it their mean.",
            )
    return None


def _unseen(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The loss is written by hand, so no target is seen. Inputs and weights of the usual scale make outputs of about 1:
    it is what these are compared with that makes a first loss of ten thousand and more, and then keeps it."""
    if at.no_goal or "lr-too-low" in at.opened:
        raise Abstain("no regression on given targets")
    first, now = at.initial_loss, at.recent_loss()
    if first < 0.1 * limit["unseen"] or at.step < at.track.segment.first_step + max(60, 0.5 * at.horizon):
        return None
    swollen = at.has("act.std") and float(np.nanmax(at.view("act.std").values[0], initial=0.0)) > limit["swollen"]
    given = entering(at)
    far = now > limit["left" if first > limit["unseen"] else "most"] * first
    if swollen or (given is not None and given.size > limit["std"]) or not far or now > limit["risen"] * first:
        return None
    begin = at.track.segment.first_step + 1
    return Found(
        "warn",
        f"the loss began at {number(first)} and is {number(now)}: the output has far to go",
        (
            f"the untrained net has a loss of {number(first)}, with inputs and weights of the usual scale",
            f"{percent(now / first)} of it is left after {at.step} steps",
        ),
        begin,
        (Evidence("loss.train", now, first, "median of the newest losses against the first", begin, at.step),),
        (Remedy(NORMALISE, "what the output is compared with → divided by its size", "the first loss is about 1"),),
        "If the targets are about 1, the loss is a sum of many terms: make it their mean.",
    )


def _outcome(at: Context, limit: Mapping[str, float], guess: float) -> str | None:
    if known := trouble(at):
        return known
    first = at.track.segment.first_step
    if at.step >= first + max(60, limit["part"] * at.horizon):
        now = median(at.window(at.loss).scalar)
        if now > 1.1 * guess:
            return f"the loss is {number(now)}, always the mean of the targets has {number(guess)}"
        missed = 1 - median(at.window(at.view("r2.train")).scalar) if at.has("r2.train") else 0.0
        if at.exceeds(missed, 1.1):
            return f"the squared errors are {number(missed)} times those of always the mean of the targets"
    return at.loss_key()


RULE = Rule(
    "unnormalised-target",
    "the target is not normalised",
    "statistical",
    ("target.mean", "target.std", "r2.train", "loss.train", "loss.term", "act.std", "grad.norm.layer"),
    (NORMALISE, BIAS),
    "Notes C67, C180, C358 (label 10,000 against output 0), B30 (start the bias at the mean).",
    check,
    {"std": 10, "offset": 10, "part": 0.2, "unseen": 1e4, "left": 0.5, "most": 0.8, "swollen": 5, "risen": 1.5},
)
