"""bad-init."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import numpy as np

from nnwatch.frame import SEVERITIES, Evidence, Remedy, Severity

from ..baseline import trivial_loss, untrained_loss
from ..beginning import FAINT, LOUD, Start, faint_still, fed_back, indifferent, one_loud, passes, scaled, starved
from ..context import Context
from ..finding import Abstain, Found, number, some
from ..place import of_layer
from ..rule import Rule
from ..window import finite

SCALE = "Scale down the last layer"
INITIALISE = "Initialise each layer for its activation"
LOSSES = ("cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits")


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The untrained net is far from indifferent: its weights start too large, too small, or all at zero.

    Why it matters
        Too large: the first epochs are spent on unlearning random confidence, and the first gradients are huge. Too
        small: nothing passes through the layers, forwards or backwards. All zero: every unit stays like every other.

    How it is decided
        Too large: the very first loss of a classifier against that of a guess (ln C); default initialisation has 1.0 to
        1.1 times it. Over three times is *watch*, and *warn* where a matrix begins over 5 times 1 / sqrt(fan-in); over
        one and a half times, and the loss (or that of every evaluation) still not under a guess after 60 steps, is
        *warn*. Too small: the output of the last ReLU layer varies a thousand times less than that of the first one at
        the first step, or two or more weight matrices start at exactly zero, and the loss has not left its first value
        in half of the plan (60 to 200 steps), or is no better than a guess; exact where two or more stay at zero
        because each passes the other no gradient. Either way: two or more matrices of linear and recurrent layers start
        under 0.02 or over 5 times 1 / sqrt(fan-in) (healthy: 0.3 to 0.8), and the loss has not left its first value, or
        is no better than a guess, or the first gradient is under a hundredth of the ones soon after; or, without any
        loss, what passes them at the first step is off as well: activations or predictions of a deviation over 5,
        activations that are saturated, predictions that are next to the same for all samples, matrices that the first
        30 steps make five times as large, or that are as small after 60 steps; a recurrent layer that large weights
        read its own outputs with.

    When it is a false alarm
        Nets that were trained before (not judged). A zero in the last layer, or in the second matrix of an adapter, is
        common and harmless; so is one matrix alone, where the first loss is that of a guess.

    What to do
        kaiming_normal_ for ReLU, xavier_normal_ for tanh, the last layer times 0.01, biases 0. Inputs that are not
        normalised look the same: look there first.
    """
    if at.finetune:
        raise Abstain("the net was trained before")
    off = _off(at, limit)
    if at.no_goal:
        if off is None:
            raise Abstain("the first loss of this training says nothing")
        return off
    found = (_saddle(at, limit), _large(at, limit), _small(at, limit), off)
    return max((one for one in found if one), key=lambda one: SEVERITIES.index(one.severity), default=None)


def _off(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Weights far off the usual scale, and what passes through them is so as well at the first step: that needs no loss
    to be seen, and no waiting. Of a classifier that has come far under a guess since nothing is said."""
    if at.step < at.track.segment.first_step + limit["samples"] or not at.has("update.ratio"):
        return None
    found = _off_scale(at, limit)
    if found is None:
        return None
    if found[3].value > 1:
        shown = passes(at, limit) or fed_back(at, limit["loud"])
    else:
        shown = indifferent(at, limit) or faint_still(at, limit["faint"])
    if shown is None or _recovered(at):
        return None
    what, key, layer, evidence = found
    return _found(at, "warn", what, (key, shown), layer, evidence)


def _off_scale(at: Context, limit: Mapping[str, float]) -> Start | None:
    return at.first("scaled", lambda: scaled(at, limit["faint"], limit["loud"]))


def _recovered(at: Context) -> bool:
    """The loss is far under that of a guess, and no evaluation says otherwise."""
    with suppress(Abstain):
        guess = untrained_loss(at)[0]
        return at.recent_loss() < 0.5 * guess and not _val_lost(at, guess)
    return False


def _found(at: Context, severity: Severity, what: str, keys: tuple[str, ...], layer: str, evidence: Evidence) -> Found:
    return Found(
        severity,
        what,
        keys,
        at.track.segment.first_step + 1,
        (evidence,),
        (
            Remedy(INITIALISE, f"weights as they are → kaiming_normal_ or xavier_normal_{of_layer(at, layer)}",
                   "the outputs of all layers vary by about 1 at the first step"),
        ),
        "If the weights are as they should be, look for a factor in forward() that shrinks what passes.",
        layer=layer,
    )  # fmt: skip


def _saddle(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Matrices that are zero, each of which passes no gradient to the other: no step will ever move them."""
    if not (at.has("weight.norm") and at.has("grad.norm.layer")):
        return None
    norms, gradients = at.view("weight.norm"), at.view("grad.norm.layer")
    columns = at.weights(norms)
    zero = [columns[i] for i in np.flatnonzero(norms.values[-1, columns] == 0)]
    if len(zero) < 2 or min(len(norms.steps), len(gradients.steps)) < limit["samples"]:
        return None
    still = [norms.names[i] for i in zero if not (np.any(norms.values[:, i]) or np.any(gradients.values[:, i]))]
    if len(still) < 2:
        return None
    begin = at.track.segment.first_step + 1
    return Found(
        "error",
        f"these weights are zero and stay so: {some(still)}",
        (f"weight and gradient of {len(still)} matrices were exactly 0 at each of {len(norms.steps)} sampled steps",),
        begin,
        (Evidence("weight.norm", 0.0, None, "norm at every sampled step", begin, at.step, still[0]),),
        (
            Remedy(INITIALISE, f"weights of 0 → normal_(std=0.1){of_layer(at, still[0])}",
                   f"the gradient of {still[0]} is above 0"),
        ),
        "If one of them is to start at zero, the other must not: their product has no slope where both are 0.",
        layer=still[0],
        exact=True,
    )  # fmt: skip


def _large(at: Context, limit: Mapping[str, float]) -> Found | None:
    if (at.facts.get("loss") or {}).get("name") not in LOSSES:
        return None
    try:
        baseline, meaning = untrained_loss(at)
    except Abstain:
        return None
    ratio = at.initial_loss / max(baseline, 1e-12)
    now = at.recent_loss()
    late = at.step - at.track.segment.first_step >= limit["patience"]
    keys = [f"the first loss is {number(at.initial_loss)}; a guess has {number(baseline)} ({meaning})"]
    reason = at.first("one loud", lambda: one_loud(at, limit["loud"])) if ratio > limit["alone"] else None
    recovered = now < (0.5 if reason else 1) * baseline and not _val_lost(at, baseline)
    if recovered or ratio <= limit["high"] or (ratio <= limit["alone"] and not late):
        return None
    severity: Severity = "watch"
    if reason:
        keys.append(reason)
        severity = "warn"
    if late and (now >= baseline or _val_lost(at, baseline)):
        lost = now if now >= baseline else float(at.evaluations.loss[-1])
        keys.append(f"after {at.step} steps the loss is {number(lost)}, still no better than a guess")
        severity = "error" if ratio > limit["alone"] else "warn"
    expect = f"the first loss is under {number(1.2 * baseline)}"
    return Found(
        severity,
        f"the untrained net has a loss of {number(at.initial_loss)}, {number(ratio)} times that of a guess",
        tuple(keys),
        at.track.segment.first_step + 1,
        (Evidence("loss.train", at.initial_loss, baseline, "first loss against a guess", 1, at.step),),
        (
            Remedy(
                INITIALISE, "weights as they are → kaiming_normal_ (ReLU) or xavier_normal_ (tanh), biases 0", expect
            ),
            Remedy(SCALE, f"last layer as it is → weights times {number(max(0.01, 1 / ratio))}", expect),
        ),
        "If the initialisation is the default one, look at the scale of the inputs.",
    )


def _val_lost(at: Context, baseline: float) -> bool:
    """On data it has not seen, the net has never been better than a guess: what the start spoiled is still there."""
    known = finite(at.evaluations.loss)
    return len(known) >= 3 and float(np.min(known)) > baseline


def _small(at: Context, limit: Mapping[str, float]) -> Found | None:
    if at.step - at.track.segment.first_step < limit["patience"]:
        return None
    outcome = at.loss_key() or _only_guesses(at)
    if outcome is None and not at.has("grad.norm"):
        return None
    found = _off_scale(at, limit) or (_zeros(at) or _fades(at, limit) if outcome else None)
    outcome = outcome or starved(at, limit)
    if found is None or outcome is None:
        return None
    what, key, layer, evidence = found
    return _found(at, "error", what, (key, outcome), layer, evidence)


def _only_guesses(at: Context) -> str | None:
    """The last bias has learned the mean, and nothing else has been learned."""
    if at.step - at.track.segment.first_step < at.patience:
        return None
    with suppress(Abstain):
        guess, meaning = trivial_loss(at)
        now = at.recent_loss()
        if now > 0.97 * guess:
            return (
                f"after {at.step} steps the loss is {number(now)}, no better than a guess: {number(guess)} ({meaning})"
            )
    return None


def _zeros(at: Context) -> Start | None:
    if not (at.has("weight.norm") and at.has("update.ratio")):
        return None
    view = at.view("weight.norm")
    zero = [view.names[i] for i in at.linear if view.values[0, i] == 0]
    if len(zero) < 2:
        return None
    said = Evidence("weight.norm", 0.0, None, "norm at the first step", int(view.steps[0]), at.step, zero[0])
    return (
        f"these weights start at zero: {some(zero)}",
        f"{len(zero)} weight matrices began at exactly 0",
        zero[0],
        said,
    )


def _fades(at: Context, limit: Mapping[str, float]) -> Start | None:
    layers = at.facts.get("layers") or {}
    if not at.has("act.std") or layers.get("sigmoid") or layers.get("tanh"):
        return None
    view = at.view("act.std")
    first = view.values[0]
    known = np.flatnonzero(np.isfinite(first))
    if len(known) < 3 or not first[known[-1]] < limit["fade"] * first[known[0]]:
        return None
    start, end = view.names[known[0]], view.names[known[-1]]
    ratio = float(first[known[-1]] / first[known[0]])
    said = Evidence("act.std", ratio, limit["fade"], "last layer against the first", int(view.steps[0]), at.step, end)
    key = f"at the first step the output of {end} varies by {number(ratio)} of that of {start}"
    return f"what enters the net fades to {number(ratio)} on its way to {end}", key, end, said


RULE = Rule(
    "bad-init",
    "the weights start badly",
    "statistical",
    (
        "loss.train",
        "target.count",
        "target.mean",
        "weight.norm",
        "update.ratio",
        "act.std",
        "act.saturated",
        "output.std",
        "output.spread",
        "grad.norm",
        "grad.norm.layer",
    ),
    (INITIALISE, SCALE),
    "Notes C58-60, C104, C224-230. Measured: default initialisations have 1.00 to 1.10 times ln C; ten times the "
    "weights, or raw pixels, 9 to 104 times.",
    check,
    {"high": 1.5, "alone": 3, "patience": 60, "fade": 1e-3, "faint": FAINT, "loud": LOUD, "starved": 0.01,
     "samples": 10, "swollen": 5, "flat": 0.7, "same": 1e-3, "grown": 5},
)  # fmt: skip
