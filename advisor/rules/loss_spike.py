"""loss-spike."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..changes import clip_change
from ..context import Context
from ..finding import Abstain, Found, number
from ..learning_rate import CLIP, rounded
from ..place import of_optimizer
from ..rule import Rule
from ..window import Numbers, block_medians, median, outliers, rise_point

RATE = "Lower the learning rate a little"
BETA = "Let Adam forget faster"
BATCH = "Look at the batches of the spikes"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The loss jumps far above its noise and comes back.

    Why it matters
        Each jump undoes steps, sometimes hundreds, and one day it does not come back.

    How it is decided
        Over the last 1,000 steps: the logarithm of the loss is over eight robust standard deviations above the 200
        steps before, at three times their median or more, and back within 50 steps. One or two are *info*. It is
        *warn* when there are three or more per 1,000 steps and the gradient norm jumps with them, or the level after
        the last one stays higher (Page-Hinkley).

    When it is a false alarm
        Cyclic schedules, losses near zero (under 5 % of the first), batches of fewer than 8 samples: not judged.

    What to do
        Clip the gradient at what nine of ten healthy steps pass; for Adam beta2 0.999 → 0.95; a rate of a half. Whether
        the batch is to blame shows only when the same samples do it again: large models spike on batches that are
        harmless at another time.
    """
    if at.cyclic or at.tiny_batch:
        raise Abstain("the schedule restarts, or a batch is too small: jumps of the loss are normal")
    view = at.loss.since(max(at.phase_start, at.warmup, at.step - 1000) + 1)
    values = view.scalar
    if len(values) < 2 * limit["span"] / 4:
        raise Abstain("too few losses yet")
    usual = median(values)
    if not usual > limit["floor"] * at.initial_loss or float(np.nanmin(values)) <= 0:
        raise Abstain("the loss is near zero: its jumps say little")
    if not float(np.nanmax(values)) > limit["high"] * usual:
        return None
    logs = np.log(values.astype(np.float64))
    spikes = _spikes(logs, limit)
    if not spikes:
        return None
    steps = [int(view.steps[i]) for i in spikes]
    highest = float(np.max(values[spikes]))
    keys = [f"{len(spikes)} jumps in {len(values)} steps, the last at step {steps[-1]}"]
    severity: Severity = "info"
    if len(spikes) >= limit["many"] and (norms := _with_gradient(at, steps)) is not None:
        keys.append(f"the gradient norm jumps with them, to {number(norms)} times its usual")
    blocks = block_medians(logs[spikes[-1] :])
    if len(blocks) >= 20 and rise_point(np.concatenate((block_medians(logs[: spikes[-1]]), blocks))) is not None:
        keys.append(f"the level since is higher: {number(math.exp(median(blocks)))}, {number(usual)} is usual")
    if len(keys) > 1:
        severity = "warn"
    lr, beta = at.lr if at.has("lr") else None, (at.optimizer.get("betas") or (0, 0))[1]
    expect = "no jump over three times the usual loss in 1,000 steps"
    remedies = [Remedy(CLIP, clip_change(at, at.step), expect)]
    if float(beta) > 0.98:
        remedies.append(Remedy(BETA, f"betas=(.., {number(float(beta))}) → (.., 0.95){of_optimizer(at)}", expect))
    if lr:
        remedies.append(Remedy(RATE, f"lr {number(lr)} → {number(rounded(lr / 2))}{of_optimizer(at)}", expect))
    remedies.append(Remedy(BATCH, f"trust → the batches of steps {', '.join(map(str, steps[-3:]))}, looked at", expect))
    return Found(
        severity,
        f"{len(spikes)} jumps of the loss in {len(values)} steps, up to {number(highest)} ({number(usual)} is usual)",
        tuple(keys),
        steps[0],
        (Evidence("loss.train", highest, usual, "highest jump against the median", steps[0], at.step),),
        tuple(remedies[:3]),
        "If a jump does not come back, restart about 100 steps before it and leave out the batches that follow.",
    )


def _spikes(logs: Numbers, limit: Mapping[str, float]) -> list[int]:
    """Where jumps begin that come back in time; those of the last 50 steps may still."""
    high = outliers(logs, int(limit["span"]), limit["z"])
    starts = np.flatnonzero(high & ~np.concatenate(([False], high[:-1])))
    found: list[int] = []
    for i in starts:
        level = median(logs[max(0, i - 100) : i])
        later = logs[i + 1 : i + 1 + int(limit["back"])]
        if logs[i] - level < math.log(limit["high"]) or (found and i - found[-1] < limit["back"] / 2):
            continue
        if np.any(later < level + math.log(limit["high"]) / 2):
            found.append(int(i))
    return found


def _with_gradient(at: Context, steps: list[int]) -> float | None:
    """How many times its usual the gradient norm was at the jumps that were sampled; None if it did not jump."""
    metric = "grad.clip.norm" if at.has("grad.clip.norm") else "grad.norm"
    if not at.has(metric):
        return None
    norms = at.view(metric).since(steps[0] - 200)
    there = np.isin(norms.steps, np.concatenate([np.array(steps), np.array(steps) + 1]))
    times = float(np.nanmax(norms.scalar[there], initial=0.0)) / max(median(norms.scalar), 1e-12)
    return times if times > 3 else None


RULE = Rule(
    "loss-spike",
    "the loss jumps and comes back",
    "statistical",
    ("loss.train", "grad.norm", "grad.clip.norm", "grad.clip.max", "lr", "batch.size"),
    (CLIP, BETA, RATE, BATCH),
    "Measured: an outlier batch every 100 steps; PaLM (2022) saw about 20 spikes and showed that data alone is not the "
    "cause.",
    check,
    {"span": 200, "z": 8, "high": 3, "back": 50, "floor": 0.05, "many": 3},
    goal=True,
)
