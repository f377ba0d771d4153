"""batch-too-small."""

from __future__ import annotations

from collections.abc import Mapping

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..fixes import BATCH, remedies, titles
from ..modes import modes
from ..rule import Rule
from ..window import median

GROUPS = "Normalise without the batch"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The batches are too small for BatchNorm.

    Why it matters
        The mean and variance of a handful of samples are mostly noise. The net is trained on other numbers than it will
        be used with.

    How it is decided
        A small batch by itself is no fault. Mechanism: BatchNorm, and fewer than eight samples in each forward pass.
        Outcome: the same training batches cost half as much again in evaluation mode. Of fewer than four samples: in
        the last third of the plan, after 200 steps or more, over 60 % of the first loss is left. Where accumulation
        lets the noise of the gradient be measured and it is worth ten batches, that is told as a fact.

    When it is a false alarm
        Layers whose BatchNorm is frozen on purpose. Accumulation does not help BatchNorm: every forward pass has its
        own statistics.

    What to do
        A larger batch with a rate to match, or a normalisation that does not look at the batch (GroupNorm, LayerNorm).
    """
    if at.batch_size is None:
        raise Abstain("the batch size is not measured")
    each = at.batch_size / max(1, int(at.facts.get("accumulation") or 1))
    if at.batchnorm and each < limit["batch"] and not at.facts.get("frozen"):
        settled = at.track.segment.first_step + int(max(at.warmup, limit["after"]))
        if at.step < settled:
            raise Abstain("too early: the statistics have not settled yet")
        both = modes(at, settled - int(limit["after"]) // 2)
        if not both.worse(limit["worse"], 0.02 * at.initial_loss):
            return _pairs(at, each, limit)
        expect = f"the loss in evaluation mode comes down to that of training, {number(both.train)}"
        return Found(
            "warn",
            f"BatchNorm over {each:.0f} samples: loss {number(both.eval)} in evaluation mode, {number(both.train)} in "
            "training mode",
            (
                f"{each:.0f} samples a forward pass, under {number(limit['batch'])}, are what BatchNorm averages over",
                f"over {both.batches} batches the loss in evaluation mode was {number(both.eval / both.train)} times",
            ),
            at.track.segment.first_step + 1,
            (Evidence("loss.train.eval", both.eval, both.train, "the same batches in evaluation mode", 0, at.step),),
            (
                *remedies(at, BATCH, expect),
                Remedy(GROUPS, "BatchNorm → GroupNorm or LayerNorm", expect),
            ),
            "If a larger batch does not fit in memory, freeze BatchNorm after the first epochs.",
        )
    return _noisy(at, limit)


def _pairs(at: Context, each: float, limit: Mapping[str, float]) -> Found | None:
    """Two or three samples, of which BatchNorm leaves little more than which is the larger: little is learned."""
    age = at.step - at.track.segment.first_step
    left = at.recent_loss() / at.initial_loss
    if (
        each >= limit["few"]
        or at.no_goal
        or age < max(limit["long"], limit["part"] * at.horizon)
        or left < limit["left"]
    ):
        return None
    expect = f"the loss is under {number(0.5 * at.initial_loss)} after as many samples"
    return Found(
        "warn",
        f"BatchNorm over {each:.0f} samples, and {percent(left)} of the first loss is left",
        (
            f"of {each:.0f} values less their mean, over their deviation, little more is left than their order",
            f"after {age} steps the loss is {number(at.recent_loss())}, it began at {number(at.initial_loss)}",
        ),
        at.track.segment.first_step + 1,
        (Evidence("batch.size", each, limit["few"], "samples that BatchNorm averages over", 0, at.step),),
        (*remedies(at, BATCH, expect), Remedy(GROUPS, "BatchNorm → GroupNorm or LayerNorm", expect)),
        "If the loss does not fall with batches of 16 either, it is not the batch.",
    )


def _noisy(at: Context, limit: Mapping[str, float]) -> Found | None:
    if not at.has("grad.noise"):
        return None
    view = at.window(at.view("grad.noise"))
    noise = median(view.scalar)
    if len(view.steps) < 10 or at.batch_size is None or not at.exceeds(noise, limit["noise"] * at.batch_size):
        return None
    return Found(
        "info",
        f"the gradient is noisy: its noise is worth {noise:,.0f} samples, a batch has {at.batch_size:.0f}",
        (f"so it was over {len(view.steps)} steps (tr(covariance) / |gradient|²)",),
        int(view.steps[0]),
        (Evidence("grad.noise", noise, at.batch_size, "gradient noise scale in samples", 0, at.step),),
        (Remedy(BATCH[0].title, f"batch {at.batch_size:.0f} → {4 * at.batch_size:.0f}, with a rate to match",
                "as many samples in fewer steps reach the same loss"),),
        "If time is not short, leave it: a noisy gradient costs steps, not the result.",
        title="a larger batch would not cost samples",
    )  # fmt: skip


RULE = Rule(
    "batch-too-small",
    "batches too small for BatchNorm",
    "statistical",
    ("batch.size", "loss.train.eval", "loss.train", "grad.noise"),
    (*titles(BATCH), GROUPS),
    "Notes T31, C202 and C320 contradict each other, so size alone is never judged; Wu and He 2018 (GroupNorm), "
    "McCandlish et al. 2018 (noise scale).",
    check,
    {"batch": 8, "worse": 1.5, "noise": 10, "after": 100, "few": 4, "long": 200, "part": 2 / 3, "left": 0.6},
)
