"""output-logit-drift."""

from __future__ import annotations

from collections.abc import Mapping

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number
from ..learning_rate import LOWER, lower_remedy
from ..rule import Rule
from ..window import block_medians, median, trend

Z_LOSS = "Add a z-loss"
DECAY = "Decay the weights of the output layer"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """All logits drift together, away from zero: log Z leaves its place.

    Why it matters
        Softmax does not care about a common offset, so nothing holds it; in half precision the logits lose digits, and
        late in long runs the loss diverges.

    How it is decided
        Mechanism: log Z has moved by over 10 from where it began, in the second half of the run so far it has kept
        moving the same way (Mann-Kendall). Outcome: the loss is half as much again over its best
        and has lost a fifth of what it had gained.

    When it is a false alarm
        Logits grow as a net becomes sure of itself: without the outcome it takes a drift of 30, and is *watch*.

    What to do
        1e-4 times the mean of (log Z)^2 added to the loss, a weight decay on the output layer, a lower rate.
    """
    view = at.view("output.logz")
    if len(view.steps) < limit["samples"] or at.step < max(limit["late"], at.warmup):
        raise Abstain("too early: it is a fault of long runs")
    values = view.thin(400).scalar
    began, now = median(values[:5]), median(values[-10:])
    drift = now - began
    if not at.exceeds(abs(drift), limit["drift"]):
        return None
    direction = trend(block_medians(values[len(values) // 2 :]))
    if direction * drift <= 0 or abs(direction) < 1.64:
        return None
    outcome = at.risen(limit["worse"])
    if not outcome and abs(drift) < limit["alone"] * limit["drift"]:
        return None
    severity: Severity = "warn" if outcome else "watch"
    expect = f"log Z stays within {limit['drift']:g} of {number(began)}"
    return Found(
        severity,
        f"log Z drifts: {number(began)} at the start, {number(now)} now",
        (f"log Z has moved by {number(drift)} and goes on", *([outcome] if outcome else [])),
        int(view.steps[0]),
        (Evidence("output.logz", abs(drift), limit["drift"], "distance from its first value", 1, at.step),),
        (
            Remedy(Z_LOSS, "loss → loss + 1e-4 * torch.logsumexp(logits, -1).square().mean()", expect),
            Remedy(DECAY, "output layer without → weight_decay 0.01 on its weights", expect),
            lower_remedy(at),
        ),
        "If it drifts on, look at the bias of the output layer: a group without decay lets it run.",
    )


RULE = Rule(
    "output-logit-drift",
    "output logits drift",
    "statistical",
    ("output.logz", "loss.train", "update.ratio", "lr"),
    (Z_LOSS, DECAY, LOWER),
    "Chowdhery et al. 2022 (PaLM: z-loss 1e-4); Wortsman et al. 2023.",
    check,
    {"samples": 40, "late": 200, "drift": 10, "worse": 1.5, "alone": 3},
)
