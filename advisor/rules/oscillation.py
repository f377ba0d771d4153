"""oscillation."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..learning_rate import rounded
from ..place import of_optimizer
from ..rule import Rule
from ..window import finite, median, noise

RATE = "Lower the learning rate"
BATCH = "Average over a larger batch"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The loss swings from step to step instead of falling: the steps jump over the valley.

    Why it matters
        The net moves as much as it can and arrives nowhere; a smaller step, or an average over more samples, would let
        it in.

    How it is decided
        Mechanism: a step makes the loss of its own batch worse in over 30 % of the last sampled steps (the same batch,
        before and after); or, with no such measurement, up and down follow each other in over 90 % of the last 100
        steps (noise alone does that in 67 %) with an amplitude of over 10 % of the loss. Outcome: two windows in a row
        without a fall, while the rate is constant and the loss is over 5 % of its first value.

    When it is a false alarm
        Full-batch descent at the edge of stability swings and falls all the same: then the outcome is missing and it is
        *watch*. GANs and losses from sampled actions are not judged.

    What to do
        A third of the rate; or the same rate with a batch four times as large.
    """
    if at.no_goal or at.cyclic or at.tiny_batch:
        raise Abstain("the loss swings by nature here")
    if not at.has("lr") or not at.lr_steady or at.step < at.warmup + limit["swings"]:
        raise Abstain("it needs 100 steps at a constant rate")
    now, first = at.recent_loss(), at.initial_loss
    if not now > limit["floor"] * first:
        return None
    mechanism = _worse(at, limit) or _swings(at, limit)
    if mechanism is None:
        return None
    key, evidence = mechanism
    keys = [key]
    severity: Severity = "watch"
    still = None
    with suppress(Abstain):
        still = at.flat
    if still is not None and max(still) < limit["gain"]:
        keys.append(f"no fall in two windows of {at.window_length} steps: the loss is {number(now)}")
        severity = "warn"
    lower = Remedy(
        RATE,
        f"lr {number(at.lr)} → {number(rounded(at.lr / 3))}{of_optimizer(at)}",
        f"the loss is under {number(0.9 * now)} after {at.window_length} steps",
    )
    size = at.batch_size
    larger = f"batch {size:.0f} → {4 * size:.0f}" if size else "the batch → four times as large"
    return Found(
        severity,
        f"the loss swings around {number(now)} at a constant lr of {number(at.lr)}",
        tuple(keys),
        max(at.track.segment.first_step + 1, at.step - at.window_length),
        (evidence,),
        (lower, Remedy(BATCH, larger, f"the loss moves by under 10 % of {number(now)} from step to step")),
        "If it swings at a tenth of the rate as well, look at the order of the data: sorted classes do it.",
    )


def _worse(at: Context, limit: Mapping[str, float]) -> tuple[str, Evidence] | None:
    """Steps that make the loss of their own batch worse."""
    if not at.has("step.gain"):
        return None
    view = at.view("step.gain").since(max(at.phase_start, at.warmup)).last(60)
    gains = finite(view.scalar)
    if len(gains) < limit["samples"]:
        return None
    share = float(np.mean(gains < 0))
    if not at.exceeds(share, limit["worse"]) or median(gains) > limit["usual"]:
        return None
    said = Evidence("step.gain", share, limit["worse"], "share of steps that made their own batch worse",
                    int(view.steps[0]), at.step)  # fmt: skip
    return f"{percent(share)} of the sampled steps made the loss of their own batch worse", said


def _swings(at: Context, limit: Mapping[str, float]) -> tuple[str, Evidence] | None:
    """Up and down in turn."""
    if at.has("step.gain"):
        return None  # the better measurement says no
    losses = finite(at.loss.last(int(limit["swings"])).scalar)
    moves = np.diff(losses)
    if len(moves) < limit["swings"] / 2:
        return None
    turns = float(np.mean(np.sign(moves[1:]) * np.sign(moves[:-1]) < 0))
    level, amplitude = median(losses), noise(losses)
    if not at.exceeds(turns, limit["turns"]) or not amplitude > limit["amplitude"] * level:
        return None
    said = Evidence("loss.train", turns, limit["turns"], "share of steps after which the loss turns", at.step - 100,
                    at.step)  # fmt: skip
    return f"after {percent(turns)} of the last steps the loss turned, by {number(amplitude)} each time", said


RULE = Rule(
    "oscillation",
    "the loss swings and does not fall",
    "statistical",
    ("step.gain", "loss.train", "lr", "batch.size"),
    (RATE, BATCH),
    "Small runs: the loss of the same batch rises in over 30 % of the steps at rates that are too high in 9 of 18, in "
    "none of 40 healthy ones.",
    check,
    {"samples": 10, "worse": 0.3, "usual": 1e-3, "swings": 100, "turns": 0.9, "amplitude": 0.1, "floor": 0.05,
     "gain": 0.01},
    goal=True,
)  # fmt: skip
