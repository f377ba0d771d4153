"""wrong-loss-sign."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..context import DENSE, Context
from ..finding import Abstain, Found, number, percent
from ..place import of_loss
from ..policy import numbers
from ..rule import Rule
from ..window import block_medians, column_medians, finite, median, trend

FLIP = "Turn the sign of the loss"
TARGETS = "Turn the targets of one side"
LOOK = "Compare loss and target by hand"
GAIN = "Turn the sign of the policy's gain"
BONUS = "Turn the sign of the entropy bonus"

SIGNED = frozenset({"poisson_nll_loss", "gaussian_nll_loss"})
"""Loss functions that may be below zero as they are called; any other's value got there by more than the function."""


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The training makes the predictions worse on purpose: it climbs the loss instead of descending it.

    Why it matters
        What is called loss falls, so the curve looks right, while the net unlearns.

    How it is decided
        backward() is called on a number of the opposite sign of the loss function's own value (mixed precision's scale
        does not change a sign), and the loss itself rises or is a fifth over its first value, or the probability given
        to the right class falls: an error. Where the sign cannot be compared: what backward() is called on falls
        clearly while the probability of the right class falls under half of what it was. Without any of these: a loss
        that is ten times as far below zero as it ever was from it in the first 20 steps, and falls by over half as much
        in the last quarter of the run so far as in the first; not of a likelihood of counts or a Gaussian's that is
        called as it is: it may be below zero. Of two optimizers whose binary targets are all alike in each batch (a
        discriminator and its adversary): every loss is under 0.05, where a guess has 0.69; one must rise where the
        other falls. Of a policy: in nine of ten samples the loss encourages those actions that went worse than
        expected, by the critic's error or by what the script calls an advantage or return, with a correlation under
        -0.5; or its entropy has a factor in the loss that holds it down, over a tenth of what the actions weigh, and it
        is under half of what it was.

    When it is a false alarm
        Adversarial parts and rewards want the opposite on purpose: losses from sampled actions, or with a score beside
        them that is of both signs, are not judged by their own sign, and with two optimizers only the game between a
        generator and a discriminator is. What a script calls a return may be a cost.

    What to do
        Minimise cross entropy; minimise the negative of a log-likelihood, a reward, an ELBO. nll_loss already has
        the minus sign.
    """
    if at.step - at.track.segment.first_step < limit["steps"]:
        raise Abstain("too early: it needs 20 steps")
    if found := _discouraged(at, limit) or _held_down(at, limit):
        return found
    if at.rl or at.scored:
        raise Abstain("the loss is not a goal here")
    if at.multi_opt:
        return _accomplices(at, limit)
    ratio = _ratio(at)
    right = ratio is not None and ratio >= -limit["opposite"]
    if right and _signed(at):
        return None
    if bottomless := _bottomless(at, limit):
        return bottomless
    if right:
        return None
    sure, first = _confidence(at), at.first_loss
    blocks = block_medians(at.loss.last(200).scalar)
    loss = median(blocks[-3:])
    keys: list[str] = []
    if ratio is not None:
        keys.append(f"backward() is called on {number(ratio)} times the loss")
        if (trend(blocks) > 1.64 and loss > first) or loss > limit["risen"] * first > 0:
            keys.append(f"the loss itself rises: {number(first)} at the start, {number(loss)} now")
    elif "not-shuffled" not in at.opened and trend(blocks) < -1.64 and loss < 0.9 * first:  # else classes come in turn
        if sure and sure[1] < 0.5 * sure[0] and sure[2] < -1.64:
            keys.append(f"the loss falls from {number(first)} to {number(loss)}")
        else:
            sure = None
    if not keys:
        return None
    if sure and sure[1] < sure[0] and sure[2] < -1.64:
        keys.append(f"the probability of the right class fell from {number(sure[0])} to {number(sure[1])}")
    if len(keys) < 2:
        return None
    evidence = [Evidence("loss.train", loss, first, "the loss function's own value", 1, at.step)]
    if ratio is not None:
        evidence.append(Evidence("loss.root", ratio, 1.0, "what backward() is called on, over the loss", 1, at.step))
    return Found(
        "error",
        f"the loss is climbed: {keys[-1]}",
        tuple(keys),
        at.track.segment.first_step + 1,
        tuple(evidence),
        (
            Remedy(FLIP, f"(-loss).backward() → loss.backward(){of_loss(at)}",
                   f"the loss is under {number(0.9 * first)} after 60 steps"),
            Remedy(LOOK, "trust → the loss of one perfect and one wrong prediction, printed",
                   "the perfect one has the smaller loss"),
        ),
        "If the sign is right, look at the targets: 1 where 0 is meant turns everything around.",
    )  # fmt: skip


def _bottomless(at: Context, limit: Mapping[str, float]) -> Found | None:
    """A loss far below zero that falls as fast as ever: what is to become small has a floor, and slows down on its way
    to it. Its own value is all that is known, so this needs no loss function."""
    first, now = finite(at.loss.scalar[:DENSE]), median(at.loss.last(DENSE).scalar)
    usual = float(np.max(np.abs(first), initial=0.0))
    if len(at.loss.steps) < limit["falls"] or not -now > limit["deep"] * usual > 0:
        return None
    blocks = block_medians(at.loss.thin(1200).scalar, 12)
    early, late = float(blocks[0] - blocks[3]), float(blocks[-4] - blocks[-1])
    if not late > limit["slower"] * max(early, 0.0):
        return None
    begin = at.track.segment.first_step + 1
    return Found(
        "error",
        f"the loss falls without a floor: {number(now)}, no larger than {number(usual)} in size at the start",
        (
            f"it is {number(-now / usual)} times as far below zero as it ever was from it in the first {DENSE} steps",
            f"it does not slow down: it fell by {number(early)} in the first quarter, by {number(late)} in the last",
        ),
        begin,
        (Evidence("loss.train", now, usual, "newest losses against the largest size of the first", begin, at.step),),
        (
            Remedy(FLIP, f"loss → -loss{of_loss(at)}", "the loss is above its floor and falls more and more slowly"),
            Remedy(LOOK, "trust → the loss of one perfect and one wrong prediction, printed",
                   "the perfect one has the smaller loss"),
        ),
        "If the sign is right, look for a term without a bound: a variance that may shrink to nothing, a free scale.",
    )  # fmt: skip


def _accomplices(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Two nets that are to play against each other, and both win: what one of them is to reach is turned around."""
    name = str((at.facts.get("loss") or {}).get("name"))
    if not (at.several_terms and at.has("target.std") and name.startswith("binary_cross_entropy")):
        raise Abstain("two optimizers: whether their losses are opposed is not known")
    if np.any(at.view("target.std").thin(400).scalar > 0):
        raise Abstain("two optimizers: the targets of a batch are not all alike, as they are between adversaries")
    begin, terms = at.track.segment.first_step + 1, at.view("loss.term")
    first, now = (column_medians(part.values) for part in (terms.before(begin + int(limit["steps"])), terms.last(100)))
    if at.step < limit["game"] or not (np.isfinite(now).all() and np.isfinite(first).all()):
        return None
    worst = int(np.argmax(now))
    if not now[worst] < limit["won"]:
        return None
    return Found(
        "error",
        f"both sides win: no loss of the {len(now)} is over {number(float(np.max(now)))}",
        (
            "all targets of a batch are the same, so one net is to say 1 where the other is to make it say 0",
            f"{terms.names[worst]} fell from {number(float(first[worst]))} to {number(float(now[worst]))}, the others "
            "further: against an adversary one of them rises",
        ),
        begin,
        (Evidence("loss.term", float(now[worst]), float(first[worst]), "the larger of the losses", begin, at.step),),
        (
            Remedy(TARGETS, f"zeros → ones (or the other way round){of_loss(at)}, in the step of the generator",
                   "the losses of both settle between 0.3 and 1.5"),
            Remedy(LOOK, "trust → the mean output for real and for made samples, printed",
                   "both are drawn to the middle"),
        ),
        "If the targets are right, see whether both optimizers hold the same parameters.",
        exact=True,
    )  # fmt: skip


def _discouraged(at: Context, limit: Mapping[str, float]) -> Found | None:
    """A policy is told to do less of what went well."""
    values = numbers(at, "policy.agreement")
    if len(values) < limit["samples"] or not median(values) < -limit["opposed"]:
        return None
    share = float(np.mean(values < 0))
    if share < limit["mostly"]:
        return None
    begin = at.track.segment.first_step + 1
    return Found(
        "error",
        "the policy is told to do less of what went better than expected",
        (
            f"what the loss encourages goes against the rewards: their correlation is {number(median(values))}",
            f"so it is in {percent(share)} of {len(values)} samples",
        ),
        begin,
        (Evidence("policy.agreement", median(values), 0.0, "actions encouraged against how well they went", begin,
                  at.step),),
        (Remedy(GAIN, f"loss = gain → loss = -gain, minus the log-probability times the advantage{of_loss(at)}",
                "policy.agreement is above 0 from the first step"),),
        "If what is weighed is a cost, to become small, call it one.",
    )  # fmt: skip


def _held_down(at: Context, limit: Mapping[str, float]) -> Found | None:
    """A policy is told to be certain, whatever comes of it."""
    factors, shares = numbers(at, "policy.bonus"), numbers(at, "policy.entropy")
    if min(len(factors), len(shares)) < limit["samples"] or not median(factors) < -limit["held"]:
        return None
    first, now = float(shares[0]), median(shares[-10:])
    if now > 0.5 * first:
        return None
    begin = at.track.segment.first_step + 1
    return Found(
        "error",
        f"the loss holds the policy's entropy down: {percent(now)} of that of chance, {percent(first)} at first",
        (
            f"entropy weighs {number(-median(factors))} times as much in the loss as the actions, with the wrong sign",
            f"it fell from {percent(first)} to {percent(now)} of that of chance",
        ),
        begin,
        (Evidence("policy.bonus", median(factors), 0.0, "factor of the entropy over the weights of actions", begin,
                  at.step),),
        (Remedy(BONUS, f"loss + b * entropy → loss - b * entropy{of_loss(at)}, with b = 0.01",
                "policy.bonus is above 0, and policy.entropy falls slowly"),),
        "If the policy still becomes certain at once, take a smaller learning rate.",
    )  # fmt: skip


def _ratio(at: Context) -> float | None:
    """What backward() is called on over the loss; None where not measured, and where the loss is not above zero: but
    for a function that may be below it, if no more than a factor is between them."""
    if not at.has("loss.root"):
        return None
    root, loss = at.view("loss.root").last(50), at.loss.last(50)
    if not np.array_equal(root.steps, loss.steps):
        return None
    scale = at.view("amp.scale").last(50).scalar if at.has("amp.scale") else np.ones(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = finite(root.scalar / loss.scalar)
    ratio = median(ratios)
    if not math.isfinite(ratio):
        return None
    positive = np.min(finite(loss.scalar), initial=np.inf) > 0
    if not positive and not (_signed(at) and np.ptp(ratios) < 0.01 * abs(ratio)):
        return None  # with a term beside a loss of both signs, their ratio has no sign
    return ratio / max(median(scale), 1e-12)


def _signed(at: Context) -> bool:
    return (at.facts.get("loss") or {}).get("name") in SIGNED


def _confidence(at: Context) -> tuple[float, float, float] | None:
    """Probability of the right class at the start and now, and its trend; None where not measured."""
    if not at.has("confidence.target"):
        return None
    values = at.view("confidence.target").last(400).scalar
    blocks = block_medians(values)
    if len(blocks) < 4:
        return None
    return median(at.view("confidence.target").values[:5, 0]), median(blocks[-3:]), trend(blocks)


RULE = Rule(
    "wrong-loss-sign",
    "the loss has the wrong sign",
    "statistical",
    ("loss.root", "loss.train", "confidence.target", "amp.scale", "loss.term", "target.std", "policy.agreement",
     "policy.bonus", "policy.entropy"),
    (FLIP, LOOK, TARGETS, GAIN, BONUS),
    "Exact in the sign, confirmed by an outcome: rewards and adversarial terms have the opposite sign on purpose.",
    check,
    {"steps": 20, "opposite": 0.2, "game": 200, "won": 0.05, "falls": 60, "deep": 10, "slower": 0.5, "risen": 1.2,
     "samples": 10, "opposed": 0.5, "mostly": 0.9, "held": 0.1},
)  # fmt: skip
