"""underfitting."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..baseline import trivial_loss
from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..fixes import UNDERFIT, remedies, titles
from ..rule import Rule
from ..script import no_activation
from ..window import finite

BEND = "Put an activation between the layers"
NOT_CLEAN = frozenset({
    "lr-too-low", "lr-too-high", "frozen-params", "vanishing-gradient", "dead-relu", "not-learning", "divergence",
    "lr-decay-too-early", "scheduler-misuse", "missing-zero-grad", "saturated-activation",
})  # fmt: skip
"""Findings that explain a high loss better than the size of the net does."""


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Training and validation loss agree, and both are far from what is wanted: the net cannot hold more.

    Why it matters
        More data or more regularisation, the usual advice, make it worse; more steps change nothing.

    How it is decided
        In the last fifth of a plan of 400 steps or more, with no fault of the optimisation open, and with a training
        loss that no longer falls (Mann-Kendall, and by more than 5 % over the newest window): the validation loss is
        within 10 % or two standard errors of the training loss, and both are above the user's goal (`targets` in
        nnwatch.toml), or above half of what a guess costs. It is *warn* when a goal is missed, or a hidden layer has
        fewer units than there are classes; *watch* with dropout of 0.5 or more or a weight decay of 0.05 or more; else
        *info*. A hidden layer with fewer than log2(classes) units, or of one unit before four outputs or more, is
        *warn* where the loss has not left its first value in half of the plan (60 to 200 steps), or then is over
        half that of a guess (of the untrained net where that is not known): dead units are then no wonder.
        So is, at the end of the run, a net whose layers have no activation between them and whose loss is no better
        than a guess.

    When it is a false alarm
        Noisy labels have a floor that no net gets under: hence *info* without a reason. A net whose loss still falls,
        or that has taken a few hundred steps, was trained too short, whatever its size.

    What to do
        First see whether ten samples can be learned by heart. Then train longer if the loss still falls; more layers,
        more units, less dropout, less weight decay, in this order.
    """
    if at.no_goal:
        raise Abstain("the loss is no goal here")
    if strait := _strait(at, limit):
        return strait
    if straight := _straight(at):
        return straight
    if not at.over and (at.planned is None or at.step < limit["late"] * at.planned):
        if at.strait and at.step >= limit["patience"]:
            return None  # something does pass
        raise Abstain("judged in the last fifth of the plan")
    if at.horizon < limit["short"]:
        raise Abstain("the plan is too short to tell a small net from a short training")
    if at.opened & NOT_CLEAN:
        raise Abstain("another fault keeps the loss high")
    if at.falling and at.gained > limit["falls"]:
        raise Abstain("the training loss still falls")
    ev = at.evaluations
    known = np.flatnonzero(np.isfinite(ev.loss))
    if not len(known):
        raise Abstain("it needs an evaluation on validation data")
    val, train = float(np.median(ev.loss[known[-3:]])), at.recent_loss()
    if abs(val - train) > max(limit["gap"] * abs(train), 2 * _error(at)):
        return None
    goal = at.targets.get("loss.val") or at.targets.get("loss.train")
    try:
        baseline, meaning = trivial_loss(at)
    except Abstain:
        if goal is None:
            raise
        baseline, meaning = math.inf, ""
    reference, name = (
        (goal, "the goal") if goal is not None else (limit["half"] * baseline, f"half of a guess ({meaning})")
    )
    if not at.exceeds(min(val, train), reference):
        return None
    keys = [f"training loss {number(train)} and validation loss {number(val)} agree, above {number(reference)}: {name}"]
    severity: Severity = "info"
    if goal is not None or _narrow(at):
        keys.append(_narrow(at) or f"the goal is {number(goal or 0)}")
        severity = "warn"
    elif strong := _strong(at, limit):
        keys.append(strong)
        severity = "watch"
    return Found(
        severity,
        f"training {number(train)} and validation {number(val)}: both over {number(reference)}",
        tuple(keys),
        max(at.track.segment.first_step + 1, int(ev.steps[known[0]])),
        (
            Evidence("loss.train", train, reference, "training loss against " + name, 1, at.step),
            Evidence("loss.val", val, train, "validation loss against training loss", 1, at.step),
        ),
        remedies(at, UNDERFIT, f"the training loss is under {number(0.8 * train)}"),
        "If a net twice as wide ends at the same loss, the labels carry no more: look at their noise.",
    )


def _strait(at: Context, limit: Mapping[str, float]) -> Found | None:
    """A hidden layer of so few units that hardly anything passes, and a loss that never left its first value."""
    narrow, classes = at.narrowest, int(at.facts.get("classes") or 0)
    if narrow is None or not at.strait or at.step < limit["patience"]:
        return None
    what = f"{classes} classes are" if classes > 2 else f"{at.outputs} outputs are"
    outcome = at.loss_key() or _much_left(at, limit)
    if outcome is None:
        return None
    units, name = narrow
    return Found(
        "warn",
        f"{name} has {units} units, and {what} to be told by them",
        (f"what enters {name} is reduced to {units} numbers", outcome),
        at.track.segment.first_step + 1,
        (Evidence("update.ratio", units, max(classes, 4), "units of the narrowest layer", 1, at.step, name),),
        remedies(at, UNDERFIT, f"the training loss is under {number(0.8 * at.initial_loss)}"),
        "If a layer of as many units as there are outputs does not learn either, look at its rate.",
        layer=name,
    )


def _much_left(at: Context, limit: Mapping[str, float]) -> str | None:
    """Over half of the plan is gone and over half of what a guess costs is left."""
    if at.planned is None or at.step < at.track.segment.first_step + limit["half"] * at.planned:
        return None
    try:
        guess, meaning = trivial_loss(at)
    except Abstain:
        guess, meaning = at.initial_loss, "the untrained net"
    now = at.recent_loss()
    if not at.exceeds(now, limit["half"] * guess):
        return None
    return f"after {at.step} of {at.planned:,} steps the loss is {number(now)}; a guess has {number(guess)} ({meaning})"


def _straight(at: Context) -> Found | None:
    """Layers with nothing between them that bends, and at the end a loss that is no better than a guess."""
    if not (at.over and no_activation(at)):
        return None
    guess, meaning = trivial_loss(at)
    now = at.recent_loss()
    if not at.exceeds(now, 0.97 * guess):
        return None
    return Found(
        "warn",
        f"the net is linear, and its loss is {number(now)} at the end: no better than a guess",
        (
            "its layers follow each other with no activation between them: together they are a single one",
            f"the loss is {number(now)}, a guess has {number(guess)} ({meaning})",
        ),
        at.track.segment.first_step + 1,
        (Evidence("loss.train", now, guess, "against a constant guess", 1, at.step),),
        (
            Remedy(BEND, "Linear, Linear → Linear, ReLU, Linear", f"the training loss is under {number(0.8 * guess)}"),
            *remedies(at, UNDERFIT, f"the training loss is under {number(0.8 * guess)}", 2),
        ),
        "If it does not learn with activations either, see whether the labels belong to the inputs.",
    )


def _error(at: Context) -> float:
    """Standard error of the recent training loss."""
    losses = finite(at.loss.last(60).scalar)
    return float(np.std(losses)) / math.sqrt(len(losses)) if len(losses) else math.inf


def _narrow(at: Context) -> str | None:
    """A hidden layer that cannot tell the classes apart."""
    classes, narrow = int(at.facts.get("classes") or 0), at.narrowest
    return f"{narrow[1]} has {narrow[0]} units for {classes} classes" if narrow and 2 < classes > narrow[0] else None


def _strong(at: Context, limit: Mapping[str, float]) -> str | None:
    """Regularisation that may be what holds the net back."""
    for layer, p in at.facts.get("dropout") or ():
        if float(p) >= limit["dropout"]:
            return f"{layer} drops {percent(float(p))}"
    decay = float(at.optimizer.get("weight_decay") or 0)
    return f"the weight decay is {number(decay)}" if decay >= limit["decay"] else None


RULE = Rule(
    "underfitting",
    "underfitting",
    "statistical",
    ("loss.train", "loss.val", "val.size", "target.count", "update.ratio"),
    (BEND, *titles(UNDERFIT)),
    "Notes C136, C290, C170-172; a high loss alone is no sign: noisy labels have one too.",
    check,
    {
        "late": 0.8,
        "short": 400,
        "falls": 0.05,
        "gap": 0.1,
        "half": 0.5,
        "dropout": 0.5,
        "decay": 0.05,
        "patience": 60,
    },
    slow=True,
    goal=True,
)
