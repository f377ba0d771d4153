"""kl-blowup."""

from __future__ import annotations

from collections.abc import Mapping

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number
from ..learning_rate import LOWER, lower_change
from ..rule import Rule
from ..window import block_medians, median, trend

HOLD = "Hold the KL divergence"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """A KL divergence runs away: the policy from the one before, or a posterior from its prior.

    Why it matters
        In policy optimisation a step that changes the policy this much is made on samples of another policy, and the
        performance falls off a cliff. In a variational autoencoder the exponential of the log-variance is next.

    How it is decided
        Mechanism: the divergence per dimension is ten times what it was over the first half of the run, and over 0.5
        nats (10 without reinforcement learning: codes of few dimensions have some nats each). Outcome: it still rises
        and the loss rises with it. The first alone is *watch*.

    When it is a false alarm
        The KL term of an autoencoder rises from zero while its code is learned; under ten nats nothing is said.

    What to do
        Stop the epochs on one batch once the divergence passes a target (0.02 is usual), lower the learning rate, or
        raise the weight of the KL term.
    """
    if at.step < at.track.segment.first_step + max(at.warmup, limit["after"]):
        raise Abstain("too early to know its usual size")
    view = at.view("distribution.kl")
    half = view.before(at.track.segment.first_step + (at.step - at.track.segment.first_step) // 2)
    usual, now = median(half.scalar), median(view.last(20).scalar)
    floor = limit["policy"] if at.facts.get("reinforcement") else limit["code"]
    if len(view.steps) < 40 or not usual > 0 or now < floor or not at.exceeds(now / usual, limit["growth"]):
        return None
    keys = [f"the KL divergence is {number(now)} nats per dimension, {number(usual)} over the first half"]
    severity: Severity = "watch"
    recent = view.last(200)
    if trend(block_medians(recent.scalar)) > 1.64 and trend(block_medians(at.loss.last(200).scalar)) > 1.64:
        severity = "warn"
        keys.append(f"it still rises, and the loss with it: {number(at.recent_loss())}")
    expect = f"distribution.kl stays under {number(floor)}"
    return Found(
        severity,
        f"KL divergence {number(now)} nats per dimension, {number(now / usual)} times the usual",
        tuple(keys),
        int(recent.steps[0]),
        (Evidence("distribution.kl", now, floor, "KL divergence per dimension", int(recent.steps[0]), at.step),),
        (
            Remedy(HOLD, "no limit → stop the epochs on a batch at a KL divergence of 0.02, or twice the KL weight",
                   expect),
            Remedy(LOWER, lower_change(at), expect),
        ),
        "If it runs away again, clamp log-variances to -10 ... 10 and look at the advantages' scale.",
    )  # fmt: skip


RULE = Rule(
    "kl-blowup",
    "the KL divergence runs away",
    "statistical",
    ("distribution.kl", "loss.train", "lr"),
    (HOLD, LOWER),
    "Schulman et al. 2017 (a target for the divergence); limits from small runs of both kinds.",
    check,
    {"policy": 0.5, "code": 10, "growth": 10, "after": 60},
)
