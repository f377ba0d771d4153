"""loss-scale-imbalance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..policy import numbers
from ..rule import Rule
from ..window import View, median, together

BALANCE = "Weigh the terms alike"
REWARDS = "Scale the rewards"
ROUNDING = 1e-5
"""Share of a sum of float32 under which a term of it cannot be told."""


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """One term of the loss is so large that the others do not count.

    Why it matters
        The gradient follows the large term. A task whose term is a thousandth of the sum is not trained at all, and
        the sum, which is what everybody looks at, falls nicely.

    How it is decided
        Mechanism: what each term contributes to the number backward() is called on (its weight in the sum is found by
        least squares over the newest window) differs by over 100 times, or did by over 500 at the start. Outcome:
        after half of the run the small term has not fallen by a tenth while the large one has, or by a fifth while
        that fell to a quarter. The first alone is *watch* from 1,000 times on. Beside a single loss function: what
        backward() is called on is over 1,000 times its value, and no fixed multiple of it; or what is added by hand was
        over five times the loss at first and has come down to a quarter, while the loss in the second half of the plan
        is over 80 % of its first value. Of a policy: its entropy weighs more in the loss than its actions, and after a
        fifth of the run it still chooses almost by chance (98 % of that entropy); or the gradient by the critic's
        values is over 1,000 times that by the actions, in layers that both share.

    When it is a false alarm
        A regulariser is small on purpose, and one that needs no training. Terms of several optimizers (a GAN) are not
        compared.

    What to do
        Multiply the small term so that both contribute about alike, or let the gradients set the weights (GradNorm,
        uncertainty weighting).
    """
    if found := _by_chance(at, limit) or _drowned(at, limit):
        return found
    if at.multi_opt:
        raise Abstain("several optimizers have a loss each")
    if at.step < at.track.segment.first_step + max(at.warmup, limit["after"], limit["part"] * at.horizon):
        raise Abstain("too early to compare the terms")
    if not at.several_terms:
        return _by_hand(at, limit)
    terms = at.view("loss.term")
    parts, weights = _contributions(at, at.window(terms))
    begun = np.where(weights > 0, weights * np.array([abs(_first(terms, i)) for i in range(len(parts))]), parts)
    if begun.max() > limit["begun"] * max(begun.min(), 1e-12):
        parts = begun  # a term that was all there was may be small by now, because it has been learned
    large = int(np.argmax(parts))
    ratios = parts[large] / np.maximum(parts, 1e-12)
    drowned = [i for i in range(len(parts)) if at.exceeds(float(ratios[i]), limit["ratio"])]
    if not drowned:
        return None
    small = max(drowned, key=lambda i: (_now(terms, i) > 0.9, -parts[i]))  # one that stands before one that falls
    ratio = float(ratios[small])
    name, other = terms.names[small], terms.names[large]
    stuck, fell = _now(terms, small), _now(terms, large)
    keys = [f"{other} contributes {number(float(parts[large]))} to the sum, {name} {number(float(parts[small]))}"]
    severity: Severity = "watch"
    if (stuck > 0.9 and fell < 0.9) or (stuck > 0.8 and fell < 0.25):
        severity = "warn"
        keys.append(f"{name} is at {number(stuck)} of its first value, {other} at {number(fell)}")
    elif not at.exceeds(ratio, limit["alone"]):
        return None
    weight = float(weights[small])
    change = f"{number(weight)} → {number(weight * ratio)}" if weight else f"as it is → {number(ratio)} times that"
    return Found(
        severity,
        f"{other} counts {number(ratio)} times as much as {name}",
        tuple(keys),
        int(terms.steps[0]),
        (Evidence("loss.term", ratio, limit["ratio"], f"{other} over {name}, weighted", 0, at.step, name),),
        (
            Remedy(
                BALANCE,
                f"weight of {name} {change}",
                f"{name} falls under {number(0.9 * _first(terms, small))}",
            ),
        ),
        "If the small term then rules, halve its weight until both fall.",
        layer=name,
    )


def _by_chance(at: Context, limit: Mapping[str, float]) -> Found | None:
    """A policy is kept at chance by what its entropy is worth."""
    bonus, shares = numbers(at, "policy.bonus"), numbers(at, "policy.entropy")
    begin, now = at.track.segment.first_step, median(shares[-10:])
    if at.step < begin + max(limit["actions"], limit["early"] * at.horizon) or len(bonus) < 10 or not now > 0.98:
        return None
    weight = median(bonus)
    if not weight > limit["bonus"]:
        return None
    return Found(
        "warn",
        f"the entropy bonus counts {number(weight)} times as much as the rewards: the policy stays at chance",
        (
            f"in the gradient by the policy's logits entropy weighs {number(weight)} times as much as the actions",
            f"its entropy is {percent(now)} of that of pure chance at step {at.step}",
        ),
        begin + 1,
        (Evidence("policy.bonus", weight, limit["bonus"], "entropy over the weights of actions", begin, at.step),),
        (Remedy(BALANCE, f"weight of the entropy → divided by {number(100 * weight)}",
                "policy.bonus is near 0.01, and policy.entropy falls"),),
        "If it stays at chance without a bonus, look at the rewards: do they differ at all?",
    )  # fmt: skip


def _drowned(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The layers that actor and critic share follow the critic."""
    ratios = numbers(at, "policy.critic") if at.facts.get("shared_body") else np.empty(0)
    begin = at.track.segment.first_step
    if at.step < begin + max(limit["after"], limit["early"] * at.horizon) or len(ratios) < 10:
        return None
    ratio = median(ratios)
    if not at.exceeds(ratio, limit["critic"]):
        return None
    return Found(
        "warn",
        f"the critic's gradient is {number(ratio)} times the actor's, in layers that both share",
        (
            f"the gradient by its values is {number(ratio)} times that by the log-probabilities of the actions",
            "both come from the same layers: these learn the values alone",
        ),
        begin + 1,
        (Evidence("policy.critic", ratio, limit["critic"], "gradient by values over that by actions", begin, at.step),),
        (
            Remedy(BALANCE, f"weight of the critic's loss → divided by {number(ratio)}", "policy.critic is about 1"),
            Remedy(REWARDS, "reward → reward / the standard deviation of the returns",
                   "the returns are about 1 in size, and policy.critic about 1"),
        ),
        "If the critic then learns too slowly, give it layers of its own.",
    )  # fmt: skip


def _by_hand(at: Context, limit: Mapping[str, float]) -> Found | None:
    """What backward() is called on is mostly no multiple of the one loss function there is: terms written by hand."""
    if at.amp or at.scored or not at.has("loss.root"):
        raise Abstain("the loss has one term, or a score beside it")
    root, loss = at.view("loss.root").last(60), at.loss.last(60)
    if not np.array_equal(root.steps, loss.steps) or not np.all((loss.scalar > 0) & np.isfinite(loss.scalar)):
        return None
    if smothered := _smothered(at, limit):
        return smothered
    times = root.scalar / loss.scalar.astype(np.float64)
    ratio, varies = median(times), float(np.std(times))
    if not at.exceeds(ratio, limit["alone"]) or varies < limit["varies"] * ratio:
        return None
    return Found(
        "warn",
        f"backward() is called on {number(ratio)} times the loss: the terms beside it count for all",
        (
            f"backward() gets {number(median(root.scalar))}, the loss function gave {number(median(loss.scalar))}",
            "their ratio changes from step to step, so it is no factor: something else is added",
        ),
        int(root.steps[0]),
        (Evidence("loss.root", ratio, limit["alone"], "what backward() is called on, over the loss", 0, at.step),),
        (
            Remedy(
                BALANCE, f"weight of what is added → divided by {number(ratio)}", "loss.root is a few times loss.train"
            ),
        ),
        "If the added term is the goal, let the loss function be the small one, and write down why.",
    )


def _smothered(at: Context, limit: Mapping[str, float]) -> Found | None:
    """What is added to the one loss function was most of the sum, and has been learned instead of it."""
    roots, losses = (view.scalar.astype(np.float64) for view in (at.view("loss.root"), at.loss))
    if len(roots) != len(losses) or at.step < at.track.segment.first_step + 0.5 * at.horizon:
        return None
    (first, now), (whole, left) = ((median(part[:5]), median(part[-20:])) for part in (losses, roots))
    added, remains = whole - first, left - now
    if not (added > limit["added"] * first > 0 and remains < 0.25 * added and now > 0.8 * first):
        return None
    return Found(
        "warn",
        f"what is added to the loss was {number(added / first)} times as large, and only that has been learned",
        (
            f"backward() was called on {number(whole)} at first, the loss function gave {number(first)}",
            f"the rest went from {number(added)} to {number(remains)}, the loss function is at {number(now)}",
        ),
        int(at.loss.steps[0]),
        (Evidence("loss.root", added / first, limit["added"], "what is added over the loss, at first", 0, at.step),),
        (
            Remedy(
                BALANCE,
                f"weight of what is added → divided by {number(10 * added / first)}",
                f"the loss function falls under {number(0.7 * first)}",
            ),
        ),
        "If the loss function stays where it is without the added term, that was not what kept it there.",
    )


def _contributions(at: Context, terms: View) -> tuple[np.ndarray, np.ndarray]:
    """Weight times size of each term (m,), and the weights (m,). Raises Abstain where the sum is not of that form."""
    root, terms = together(at.window(at.view("loss.root")), terms)
    if (terms.values == root.scalar[:, None]).all(axis=0).any():
        raise Abstain("backward() is called on one of the losses itself: the others are switched off")
    x, y = terms.values.astype(np.float64), root.scalar.astype(np.float64)
    known = np.isfinite(x).all(axis=1) & np.isfinite(y)
    if known.sum() < 10 * x.shape[1]:
        raise Abstain("too few steps with all terms")
    scale = np.maximum(np.abs(x[known]).mean(axis=0), 1e-12)
    kept = np.ones(x.shape[1], bool)
    weights = np.zeros(x.shape[1])
    while kept.any():
        weights[kept] = np.linalg.lstsq((x[known] / scale)[:, kept], y[known], rcond=None)[0] / scale[kept]
        if (weights[kept] > 0).all():
            break
        kept &= weights > 0  # what counts for less than the rounding of the sum may come out below zero
        weights[~kept] = 0
    left, size = float(np.std(y[known] - x[known] @ weights)), float(np.mean(np.abs(y[known])))
    if left > (0.02 if kept.all() else ROUNDING) * size:
        raise Abstain("the sum is not a weighted sum of these terms")
    return np.where(kept, weights * scale, ROUNDING * size), weights


def _first(terms: View, column: int) -> float:
    return median(terms.values[:20, column])


def _now(terms: View, column: int) -> float:
    """The newest values over the first ones."""
    return median(terms.values[-50:, column]) / max(abs(_first(terms, column)), 1e-12)


RULE = Rule(
    "loss-scale-imbalance",
    "one term of the loss drowns the others",
    "statistical",
    ("loss.term", "loss.root", "policy.bonus", "policy.entropy", "policy.critic"),
    (BALANCE, REWARDS),
    "Notes C70, D70; over 30 times was seen on two tasks that both trained.",
    check,
    {"ratio": 100, "alone": 1000, "after": 60, "part": 0.5, "varies": 0.03, "begun": 500, "added": 5,
     "early": 0.2, "actions": 20, "bonus": 1, "critic": 1000},
)  # fmt: skip
