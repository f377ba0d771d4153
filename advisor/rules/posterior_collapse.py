"""posterior-collapse."""

from __future__ import annotations

from collections.abc import Mapping

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..rule import Rule
from ..window import median

ANNEAL = "Let the KL term in slowly"
FREE = "Give each dimension free bits"
WEAKER = "A weaker decoder"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The latent code of a variational autoencoder carries nothing: its posterior is the prior.

    Why it matters
        The decoder has learned to do without the code and makes the same mean picture for every input. The loss looks
        converged.

    How it is decided
        Mechanism: after a fifth of the run the KL divergence is under 0.01 nats per dimension, over the newest samples.
        Outcome: what the decoder gives hardly differs between samples (spread under a tenth of the targets'), or
        permuted inputs cost nothing more, or the divergence has fallen from its first
        value to under 0.001: a code that is learned makes it rise. The first alone is *watch*.

    When it is a false alarm
        A KL divergence that is to be small (a step of policy optimisation, a distillation that has arrived): runs of
        reinforcement learning are not judged.

    What to do
        Raise the weight of the KL term from 0 to 1 over the first part of the run, allow each dimension some free bits,
        or make the decoder weaker, so that it needs the code.
    """
    if at.facts.get("reinforcement"):
        raise Abstain("a small step of the policy is meant to be small")
    if at.step < at.track.segment.first_step + max(at.warmup, limit["part"] * at.horizon):
        raise Abstain("too early: the code is learned after the mean picture")
    late = at.track.segment.first_step + int(limit["part"] * at.horizon)
    view = at.view("distribution.kl").since(late).last(20)
    kl = median(view.scalar)
    if len(view.steps) < 2 or not at.undercuts(kl, limit["kl"]):
        return None
    keys = [f"the KL divergence is {number(kl)} nats per dimension"]
    severity: Severity = "watch"
    outcome = _alike(at, limit) or _shut(at, kl, limit)
    if outcome:
        severity = "warn"
        keys.append(outcome)
    expect = f"distribution.kl stays over {number(limit['kl'])}"
    return Found(
        severity,
        f"KL divergence {number(kl)} nats per dimension (reference {number(limit['kl'])}): the code says nothing",
        tuple(keys),
        int(view.steps[0]),
        (Evidence("distribution.kl", kl, limit["kl"], "KL divergence per dimension", int(view.steps[0]), at.step),),
        (
            Remedy(ANNEAL, f"KL weight as it is → 0 to 1 over the first {max(1, at.horizon // 3):,} steps", expect),
            Remedy(FREE, "KL → max(KL, 0.1) per dimension", expect),
            Remedy(WEAKER, "the decoder as it is → half as wide, or with word dropout", expect),
        ),
        "If it stays at zero, take a tenth of the KL weight for the whole run (beta-VAE with beta < 1).",
    )


def _alike(at: Context, limit: Mapping[str, float]) -> str | None:
    if at.has("output.spread") and at.has("target.std"):
        spread = median(at.late(at.view("output.spread")).last(20).scalar)
        size = median(at.late(at.view("target.std")).last(20).scalar)
        if spread < limit["spread"] * size:
            return f"outputs differ between samples by {percent(spread / size)} of the targets' deviation"
    if at.has("loss.permuted") and at.has("loss.train.eval"):
        permuted, plain = (
            median(at.late(at.view(f"loss.{kind}")).last(20).scalar) for kind in ("permuted", "train.eval")
        )
        if permuted < 1.01 * plain:
            return f"with permuted inputs the loss is {number(permuted)}, as it is without: {number(plain)}"
    return None


def _shut(at: Context, kl: float, limit: Mapping[str, float]) -> str | None:
    first = median(at.view("distribution.kl").scalar[:5])
    if kl > limit["shut"] or kl > first / 3:
        return None
    return f"it was {number(first)} at first and has fallen since, where a code that is learned makes it rise"


RULE = Rule(
    "posterior-collapse",
    "the latent code is not used",
    "statistical",
    ("distribution.kl", "output.spread", "target.std", "loss.permuted", "loss.train.eval"),
    (ANNEAL, FREE, WEAKER),
    "Bowman et al. 2016 (annealing), Kingma et al. 2016 (free bits).",
    check,
    {"kl": 0.01, "shut": 1e-3, "part": 0.2, "spread": 0.1},
    slow=True,
)
