"""rank-divergence."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity
from nnwatch.series import Floats

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..machine import listed, named, ranks
from ..nonfinite import RECOVERED
from ..rank_steps import at_steps, gradients, rest, shared_steps
from ..rule import Rule
from ..window import View, median

WRAP = "Train one net on all ranks"
SAME = "Let every rank take the same steps"
SHARE = "Give each rank its part of the data"
SEED = "Give all samplers one seed"
PREPARE = "Prepare the data in the same way on every rank"
NETS = "ranks train different nets"
DATA = "ranks do not share the data as they should"
_RECORDS = 64
"""Newest records of samples that are compared."""


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The ranks of a data-parallel training do not train one net, or not each on a part of the same data.

    Why it matters
        With weights of its own each rank trains a net on a part of the data, and rank 0, which is the one that is
        saved, has seen only its part. With the samples of another it computes a gradient that is there already: the
        job takes many times the hardware for the result of one rank. Data that were prepared otherwise on one rank
        pull the common net away from what the others learn. The curves of rank 0 look healthy all the while.

    How it is decided
        Exact: a checksum of the weights of every rank at the same step. It is an error where they were equal and are no
        longer; where they never were, it is *watch*. Of a sharded net (FSDP) it covers what every rank holds whole, and
        that has to be equal from the first step on: nothing averages it. Of what is in shards no rank has a copy that
        could be another one. The norms of the gradients say why: where they are equal they are averaged, and the
        weights were changed in another way; where they are not, nothing averages them. Those of shards are of another
        part of the net on each rank and are not compared; the norm that clipping has added up over the ranks is the
        same number on all. A loss that is no number on one rank only is an error as well: weights that are shared
        would have carried it on. Then the samplers' seeds: with different ones the parts overlap. Then fingerprints of
        the samples that enter the model: it is a warning when nine in ten of a rank's are another rank's of the same
        step, and hardly any occurs twice within a rank. Last, over the newest 64 steps: one rank's inputs lie a
        standard deviation from those of the others or spread twice or half as far, and its loss is half as large again
        as theirs in nineteen steps of twenty. One of the two is *watch*, both are a warning.

    When it is a false alarm
        Ranks that hold different parts of one model (FSDP of the first kind, pipelines) differ from the first step.
        Ranks that augment the same picture differently on purpose have different samples and are not reported. Ranks
        that train on different tasks have losses of their own.

    What to do
        Wrap the model in DistributedDataParallel before the optimizer is made, or shard the whole model (fully_shard on
        the root as well), change weights only by the optimizer, and clip or skip on all ranks or on none. Give the
        loader a DistributedSampler with one seed, and prepare the data in the same way everywhere.
    """
    if not at.facts.get("distributed"):
        raise Abstain("training is not distributed")
    if at.facts.get("sharded") == "model":
        raise Abstain("ranks hold parts of one layer each (tensor parallel): what they have need not be equal")
    compared, found = 0, None
    for look in (_weights, _alone, _seeds, _same_samples, _apart):
        try:
            found = look(at, limit)
            compared += 1
        except Abstain:
            continue
        if found is not None:
            return found
    if not compared:
        raise Abstain("nothing was measured on two ranks at the same step yet")
    return None


def _weights(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Whether what every rank holds whole is the same on all."""
    views = ranks(at, "weight.checksum")
    shared = shared_steps(views)
    rows = at_steps(views, shared).T
    unequal = np.flatnonzero((rows != rows[:, :1]).any(axis=1))
    if not len(unequal) or not (rows[-1] != rows[-1, 0]).any():
        return None
    first = int(unequal[0])
    step = int(shared[first])
    odd = [rank for rank, value in zip(views, rows[-1], strict=True) if value != rows[-1, 0]]
    before = f"they were equal until step {shared[first - 1]}" if first else "they were never equal"
    partly = at.facts.get("sharded") == "data"
    severity: Severity = "error" if first or partly else "watch"
    whole = " that are in no shard" if partly else ""
    cause = gradients(at) if not partly else None
    wrap = (
        "fully_shard(layer) → fully_shard(layer) and fully_shard(model)"
        if partly
        else ("model → DistributedDataParallel(model)")
    )
    wrapped = Remedy(WRAP, f"{wrap}, before the optimizer is made", "checksums agree")
    same = Remedy(SAME, "steps, clips and skips of each rank's own → the same on all ranks", "checksums agree")
    return Found(
        severity,
        f"{listed(at, odd)} and rank 0 have different weights{whole} since step {step}",
        (
            f"checksums of the weights of {len(views)} ranks at the same steps; {before}",
            *([cause.why] if cause else []),
        ),
        step,
        (Evidence("weight.checksum", float(rows[-1].max()), float(rows[-1].min()), "of two ranks", step, at.step),),
        (same, wrapped) if cause is not None and cause.averaged else (wrapped, same),
        f"If the model is wrapped, look at what the script did at step {step} on one rank only.",
        title=NETS,
        exact=True,
    )


def _alone(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Whether the loss is no number on some ranks only, for many steps: shared weights would have carried it on."""
    views = ranks(at, "loss.train")
    shared = shared_steps(views, RECOVERED)
    good = dict(zip(views, np.isfinite(at_steps(views, shared)), strict=True))
    broken = [rank for rank, known in good.items() if not known.any()]
    sound = [rank for rank, known in good.items() if known.all()]
    if not broken or not sound or len(shared) < RECOVERED:
        return None
    series = views[broken[0]].series
    step = int(series.steps[np.flatnonzero(~np.isfinite(series.scalar))[0]])
    return Found(
        "error",
        f"the loss of {listed(at, broken)} is no number since step {step}, that of rank {sound[0]} is one",
        (f"{RECOVERED} steps in a row; ranks that share their weights share a NaN after one step",),
        step,
        (Evidence("loss.train", float(views[sound[0]].scalar[-1]), None, f"loss of rank {sound[0]}", step, at.step),),
        (Remedy(WRAP, "model → DistributedDataParallel(model), before the optimizer is made", "checksums agree"),),
        f"If the model is wrapped, look at what {listed(at, broken[:1])} did at step {step}: its weights are lost.",
        title=NETS,
        exact=True,
    )


def _seeds(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Whether the samplers cut their parts from one and the same order."""
    segment = at.track.segment.segment
    samplers = {
        rank: known["sampler_epochs"]
        for (number, rank), known in sorted(at.history.facts.items())
        if number == segment and known.get("sampler_epochs", {}).get("shuffle") and "seed" in known["sampler_epochs"]
    }
    if len(samplers) < 2:
        raise Abstain("the sampler of one rank only is known")
    base, *others = samplers
    usual = samplers[base]["seed"]
    odd = [rank for rank in others if samplers[rank]["seed"] != usual]
    if not odd:
        return None
    seed, who = samplers[odd[0]]["seed"], listed(at, odd)
    return Found(
        "warn",
        f"the sampler of {who} shuffles with seed {seed}, that of rank {base} with {usual}",
        ("each cuts its part from an order of its own: the parts overlap, and some samples are in none",),
        at.track.segment.first_step + 1,
        (Evidence("epoch", float(seed), float(usual), f"seeds of rank {odd[0]} and rank {base}", 0, at.step),),
        (Remedy(SEED, f"seed={seed} on {who} → seed={usual}, as on rank {base}", "every sample once an epoch"),),
        "If a seed of the rank's own is meant for augmentation, give it to that generator and not to the sampler.",
        title=DATA,
        exact=True,
    )


def _same_samples(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Whether a rank has the samples of the lowest one, step by step. Rows of (records, samples), NaN where none."""
    views = ranks(at, "input.rows")
    if len(views) < 2:
        raise Abstain("the samples of one rank only are known")
    for rank, view in list(views.items())[1:]:
        base = min(views)
        own = views[base]
        shared = np.intersect1d(own.steps, view.steps)[-_RECORDS:]
        pairs = [(_known(own, step), _known(view, step)) for step in shared]
        looked = sum(len(theirs) for _, theirs in pairs)
        alike = sum(int(np.isin(theirs, ours).sum()) for ours, theirs in pairs)
        distinct = len(np.unique(np.concatenate([theirs for _, theirs in pairs]))) if pairs else 0
        if looked < limit["least"] or distinct < limit["distinct"] * looked or alike < limit["alike"] * looked:
            continue
        return Found(
            "warn",
            f"ranks {base} and {rank} train on the same samples: {alike} of {looked} looked at are alike",
            (f"fingerprints of the inputs of both at {len(shared)} steps; with one net, so are the gradients",),
            int(shared[-1]),
            (Evidence("input.rows", float(alike), 0.0, f"of {looked} samples of both ranks", int(shared[0]), at.step),),
            (
                Remedy(
                    SHARE,
                    "DataLoader(..., shuffle=True) → DataLoader(..., sampler=DistributedSampler(dataset)), with "
                    "sampler.set_epoch(epoch) before each epoch",
                    "ranks have different samples, and an epoch has fewer steps",
                ),
            ),
            "If a sampler is there, look at the number of ranks and the rank that it was given.",
            title=DATA,
            exact=True,
        )
    return None


def _apart(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Whether one rank's data are not like the others': by the numbers that enter its model and by its loss."""
    views = ranks(at, "loss.train")
    shared = shared_steps(views, int(limit["steps"]))
    if len(shared) < limit["steps"]:
        raise Abstain(f"it needs {limit['steps']:.0f} steps of all ranks")
    since, rows = int(shared[0]), at_steps(views, shared)
    others = rest(rows)
    higher = np.where((others > 0).all(axis=1), np.mean(rows > limit["apart"] * others, axis=1), 0.0)
    scales = _scales(at, since)
    for place, rank in reversed([*enumerate(views)]):
        who, own, usual = named(at, rank), float(np.median(rows[place])), float(np.median(others[place]))
        keys = [scales[rank]] if rank in scales else []
        if at.exceeds(float(higher[place]), limit["share"]):
            often = f"in {percent(float(higher[place]))} of {len(shared)} steps"
            keys.append(f"its loss is {number(own)}, theirs {number(usual)}, {often}")
        if keys:
            return Found(
                "warn" if len(keys) > 1 else "watch",
                f"{who} trains on data that are not like those of the others: {keys[0]}",
                tuple(keys),
                since,
                (Evidence("loss.train", own, usual, f"median of rank {rank}, against the others", since, at.step),),
                (Remedy(PREPARE, f"files and transforms of {who} → as the other ranks have them", "losses agree"),),
                f"If they are prepared alike, look whether the targets of {who} belong to other samples.",
                title=DATA,
            )
    return None


def _scales(at: Context, since: int) -> dict[int, str]:
    """How the numbers that enter a rank's model lie apart from those of the others, for the ranks where they do."""
    means, spreads = ranks(at, "input.mean"), ranks(at, "input.std")
    known = sorted(means.keys() & spreads.keys())
    if len(known) < 2:
        return {}
    mean, spread = (np.array([[median(of[r].since(since).scalar)] for r in known]) for of in (means, spreads))
    usual, width = rest(mean), rest(spread)
    apart = (np.abs(mean - usual) >= width) | (2 * spread <= width) | (spread >= 2 * width)
    values = zip(known, apart[:, 0], mean[:, 0], spread[:, 0], usual[:, 0], width[:, 0], strict=True)
    return {
        rank: f"its inputs are {number(m)} ± {number(s)}, theirs {number(u)} ± {number(w)}"
        for rank, odd, m, s, u, w in values
        if odd
    }


def _known(view: View, step: int) -> Floats:
    values: Floats = view.values[int(np.searchsorted(view.steps, step))]
    return values[np.isfinite(values)]


RULE = Rule(
    "rank-divergence",
    "ranks do not train one net on parts of the same data",
    "invariant",
    ("weight.checksum", "grad.norm", "input.rows", "loss.train", "input.mean", "input.std"),
    (WRAP, SAME, SHARE, SEED, PREPARE),
    "Exact; TrainCheck (OSDI 2025) finds it by the same invariant.",
    check,
    {"least": 24, "distinct": 0.9, "alike": 0.9, "steps": 64, "apart": 1.5, "share": 0.95},
    votes=(1, 1),
)
