"""batchnorm-stats."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..modes import modes
from ..place import of_layer
from ..rule import Rule
from ..window import Numbers, column_medians, median

MOMENTUM = "Let the statistics settle"
GROUPS = "Normalise without the batch"
BATCH = "A larger batch"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """BatchNorm's running statistics are not those of the data the net is trained on.

    Why it matters
        In training BatchNorm uses the batch's own mean and variance, in evaluation the running ones. Where these are
        wrong, a net that trains well is bad in every evaluation.

    How it is decided
        Mechanism: the running variance of a layer is over ten times the batch's, or under a tenth (median over its
        channels, over the newest window), or the running mean is off by more than the batch's standard deviation.
        Outcome: the same training batches cost half as much again in evaluation mode. The first alone is *watch*.
        Where a layer's momentum is so small that at the end of the run half of its statistics will still be those it
        began with (a momentum of 0: all), that explains it, and a factor of two or a quarter of a deviation is enough.

    When it is a false alarm
        While weights still move fast the statistics lag behind: it is judged after the warm-up and over a window.
        Layers in evaluation mode on purpose (frozen) do not follow, and are not measured against their batch.

    What to do
        A momentum of 0.9 in PyTorch is the share of the newest batch, not of the old average: 0.1 is the usual value.
        Tiny batches give no statistics: use GroupNorm, or a larger batch.
    """
    after = int(min(limit["after"], at.planned // 2 if at.planned else limit["after"]))
    settled = at.track.segment.first_step + max(at.warmup, after)
    if at.step < settled:
        raise Abstain("too early: the statistics have not settled yet")
    view = at.view("bn.variance.ratio").since(settled - after // 2).last(20)
    if len(view.steps) < 3:
        raise Abstain("too few batches were measured")
    off = at.once(f"BatchNorm, {len(view.steps)} records", ("bn.variance.ratio",), lambda: _off(view.values))
    worst = int(np.argmax(off))
    ratio, layer = median(view.values[:, worst]), view.names[worst]
    shift = _shift(at, layer, int(view.steps[0]))
    momentum = next((row[3] for row in at.facts.get("norms") or () if row[0] == layer and len(row) > 3), None)
    horizon = at.planned or max(at.step, int(limit["horizon"]))
    old = (1 - float(momentum)) ** horizon if momentum is not None else 0.0
    much, far = ("little", "near") if old > 0.5 else ("ratio", "shift")
    if not (at.exceeds(float(np.exp(off[worst])), limit[much]) or at.exceeds(shift, limit[far])):
        return None
    keys = [f"the running variance of {layer} is {number(ratio)} times its batches', its mean {number(shift)} off"]
    with suppress(Abstain):
        both = modes(at, int(view.steps[0]))
        if both.worse(limit["worse"], 0.02 * at.initial_loss):
            keys.append(f"in evaluation mode the same batches cost {number(both.eval)}, not {number(both.train)}")
    if momentum is not None and old > 0.5:
        keys.append(
            f"its momentum is {number(float(momentum))}: after {horizon:,} steps {percent(old)} of the running "
            "statistics are those it began with"
        )
    expect = f"bn.variance.ratio of {layer} is between 0.5 and 2"
    remedies = [
        Remedy(GROUPS, f"{layer} → GroupNorm(8, channels){of_layer(at, layer)}", expect),
    ]
    if momentum is not None and not 0.02 <= float(momentum) <= 0.2:
        change = f"{layer}: momentum {number(float(momentum))} → 0.1{of_layer(at, layer)}"
        remedies.insert(0, Remedy(MOMENTUM, change, expect))
    if at.batch_size and at.batch_size < 32:
        remedies.insert(0, Remedy(BATCH, f"batch {at.batch_size:.0f} → 32", expect))
    return Found(
        "warn",
        f"running statistics of {layer} are not those of its batches: variance {number(ratio)} times, reference 1",
        tuple(keys),
        int(view.steps[0]),
        (Evidence("bn.variance.ratio", ratio, 1.0, "running over batch variance", 0, at.step, layer),),
        tuple(remedies),
        "If they stay apart, training batches are of several kinds (sorted, or real and generated ones mixed).",
        layer=layer,
    )


def _off(ratios: Numbers) -> Numbers:
    """Size of the logarithm of each layer's median ratio (m,), 0 where that is not known."""
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.abs(np.log(column_medians(ratios)))
    return np.where(np.isfinite(off), off, 0.0)


def _shift(at: Context, layer: str, since: int) -> float:
    """Median distance of the running mean of a layer from its batches', in their deviations; 0 where not measured."""
    if not at.has("bn.mean.shift"):
        return 0.0
    view = at.view("bn.mean.shift").since(since)
    return median(view.values[:, view.names.index(layer)]) if layer in view.names else 0.0


RULE = Rule(
    "batchnorm-stats",
    "BatchNorm statistics do not fit the data",
    "statistical",
    ("bn.variance.ratio", "bn.mean.shift", "loss.train.eval", "loss.train", "batch.size"),
    (MOMENTUM, BATCH, GROUPS),
    "A loss that differs by half between the modes is TheDeepChecker's limit (2022), alone it says little.",
    check,
    {"ratio": 10, "shift": 1, "worse": 1.5, "little": 2, "near": 0.25, "after": 100, "horizon": 1000},
)
