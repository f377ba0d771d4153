"""not-shuffled."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number
from ..place import of
from ..rule import Rule
from ..script import layers
from ..window import View, finite, medians

SHUFFLE = "Shuffle the training data"
DRIFT = 5
"""A drift is a mean over this part of the run."""
RECORDS = 200
SLACK = 0.05
"""Share of new records with which the batches are compared again."""


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The training samples come in an order that the labels show.

    Why it matters
        A batch of one class pulls the net towards that class, the next one away from it. The loss swings, BatchNorm's
        statistics belong to no data set, and the last class of an epoch is the one that is remembered.

    How it is decided
        Mechanism: labels of neighbouring samples agree too often (runs test, z < -6, within
        batches). Outcome: whole batches differ in their labels by far more than drawing at random explains, a third of
        what batches of a single class would. With both it is *warn*, an error when the loader says shuffle=False or
        two epochs had the same order. For a regression the same is asked of the means of the batches, and neighbouring
        batches must go together; without a loader that begins anew, beyond their mean over a fifth of the run, and
        batches must come again: values that a net learns from its own guesses drift and jump. Where the same batches
        come again at their places, a tenth of what batches of one kind would differ by is enough, if it is twenty times
        what drawing at random explains.
        The same order in every epoch with labels well mixed costs little: *watch*.

    When it is a false alarm
        Samplers that group on purpose (few-shot episodes, metric learning), curricula, and sequences that are read in
        order (recurrent nets are judged on labels only). Batches of the whole data set have one order and are silent.

    What to do
        shuffle=True in the training loader. A stream (IterableDataset) needs a shuffle buffer of its own, sorted files
        are mixed once when they are written.
    """
    if at.facts.get("reinforcement"):
        raise Abstain("the samples of reinforcement learning come as they are lived")
    if int(at.facts.get("steps_per_epoch") or 2) < 2:
        raise Abstain("a batch is the whole data set: it has no order")
    repeated = _same_order(at, int(limit["batches"]))
    z, spread = _labels(at, limit) if at.facts.get("classes") else (0.0, _means(at))
    declared = at.facts.get("shuffle") is False
    sorted_labels = spread > limit["spread"] and (z < -limit["z"] or not at.facts.get("classes"))
    sorted_labels |= _placed_apart(at, limit, spread, repeated)
    if not sorted_labels and not (repeated >= limit["batches"] and declared and not layers(at).get("recurrent")):
        return None
    passes = at.facts.get("classes") or at.has("epoch") or _came_again(at) >= limit["batches"]
    if sorted_labels and not passes:
        raise Abstain("no batch ever comes again: targets that drift look like an order")
    severity: Severity = "watch"
    keys = []
    if sorted_labels:
        severity = "error" if declared or repeated >= limit["batches"] else "warn"
        if z < 0:
            keys.append(f"labels of neighbouring samples agree: runs test z = {number(z)}")
        if not at.facts.get("classes") and (r := _neighbours(at)) > limit["correlation"]:
            keys.append(f"the mean targets of neighbouring batches go together: r = {number(r)}")
        keys.append(f"batches differ by {number(100 * spread)} % of what batches of one kind each would")
    if repeated:
        keys.append(f"{repeated} batches of an epoch were the same as at their place in the epoch before")
    elif sorted_labels and (again := _came_again(at)) >= limit["batches"]:
        keys.append(f"{again} batches came again as they were")
    if declared:
        keys.append("the loader says shuffle=False")
    begin = at.track.segment.first_step + 1
    evidence = [
        Evidence("target.order", float(repeated), 0.0, "batches that came again at their place", begin, at.step)
    ]
    if sorted_labels:
        evidence.insert(0, Evidence("target.each", z, -limit["z"], "z of the runs test on the labels", begin, at.step))
    place = of(at, "loader")
    return Found(
        severity,
        f"the training data are not shuffled: {keys[0]}",
        tuple(keys),
        begin,
        tuple(evidence),
        (
            Remedy(
                SHUFFLE,
                f"shuffle={at.facts.get('shuffle', 'as it is')} → shuffle=True in the training loader{place}",
                "labels of neighbouring samples agree no more often than chance; the loss swings less",
            ),
        ),
        "If the loader shuffles, look at what is behind it: a dataset that sorts, a sampler that groups.",
        exact=severity == "error",
    )


def _labels(at: Context, limit: Mapping[str, float]) -> tuple[float, float]:
    """(z of the runs test on neighbours within batches, spread of the label counts between batches). Where the batches
    are alike, z is not asked for: 0.

    The spread is 0 for batches drawn at random and 1 for batches of a single class: Pearson's chi-squared over its
    degrees of freedom, less the 1 that chance gives, over the batch size.
    """
    rows = at.view("target.each").thin(RECORDS).values
    if len(rows) < 3:
        raise Abstain("fewer than three batches with their labels")
    spread = at.once("overdispersion", ("target.count",), lambda: _overdispersion(at), SLACK)
    return at.once("runs", ("target.each",), lambda: _runs(rows)) if spread > limit["spread"] else 0.0, spread


def _runs(rows: np.ndarray) -> float:
    """z of the number of runs: below 0 when neighbours agree more often than chance (Barton and David 1957)."""
    labels = finite(rows)
    share = np.unique(labels, return_counts=True)[1] / max(1, len(labels))
    p, cubes = float((share**2).sum()), float((share**3).sum())
    pairs = np.isfinite(rows[:, 1:]) & np.isfinite(rows[:, :-1])
    if p > 0.999 or pairs.sum() < 100:
        return 0.0
    agree = float(np.mean((rows[:, 1:] == rows[:, :-1])[pairs]))
    return -(agree - p) * math.sqrt(float(pairs.sum()) / (p * (1 - p) + 2 * (cubes - p * p)))


def _overdispersion(at: Context) -> float:
    if not at.has("target.count"):
        raise Abstain("the labels are not counted per class")
    counts = np.nan_to_num(at.view("target.count").thin(RECORDS).values).astype(np.float64)
    counts = counts[counts.sum(1) > 0]
    size, share = counts.sum(1, keepdims=True), counts.sum(0) / counts.sum()
    kept = share > 0
    if len(counts) < 10 or kept.sum() < 2:
        raise Abstain("too few batches or classes")
    expected = size * share[kept]
    chi2 = float(((counts[:, kept] - expected) ** 2 / expected).sum())
    ratio = chi2 / ((len(counts) - 1) * (kept.sum() - 1))
    return float((ratio - 1) / medians(size.ravel()))


def _placed_apart(at: Context, limit: Mapping[str, float], spread: float, repeated: int) -> bool:
    """Of a regression: the same batches come again at their places, and differ far more than drawing explains."""
    if at.facts.get("classes") or not limit["placed"] < spread < 1 or not at.batch_size:
        return False
    chance = (1 - spread) / at.batch_size
    return max(repeated, _came_again(at)) >= limit["batches"] and at.exceeds(spread, limit["times"] * chance)


def _means(at: Context) -> float:
    """The same for a regression: variance between batch means over the variance of all targets."""
    if layers(at).get("recurrent"):
        raise Abstain("a sequence may be read in order")
    if not at.has("target.mean") or at.batch_size is None or at.batch_size < 4:
        raise Abstain("the targets are not measured")
    view = at.view("target.mean").thin(RECORDS)
    means = finite(view.scalar).astype(np.float64)
    stds = finite(at.view("target.std").thin(RECORDS).scalar).astype(np.float64)
    if len(means) < 20 or not np.any(stds):
        raise Abstain("too few batches")
    if not at.has("epoch"):  # targets that a net makes itself drift over the run; an order comes again with each pass
        means = means - _drift(means)
    within = float(np.mean(stds**2))
    between = float(np.var(means)) - within / at.batch_size
    return max(0.0, between / (between + within)) if between > 0 else 0.0


def _drift(means: np.ndarray) -> np.ndarray:
    """Mean of the neighbours of each value, over a fifth of all of them."""
    size = max(1, len(means) // (2 * DRIFT))
    sums = np.concatenate(([0.0], np.cumsum(means)))
    places = np.arange(len(means))
    low, high = np.maximum(places - size, 0), np.minimum(places + size + 1, len(means))
    return np.asarray((sums[high] - sums[low]) / (high - low))


def _neighbours(at: Context) -> float:
    """Correlation of the mean target of a batch with that of the next, over consecutive steps; 0 for too few."""
    view = at.view("target.mean")
    ends = np.flatnonzero(np.diff(view.steps) > 1)
    means = view.scalar[: int(ends[0]) + 1 if len(ends) else RECORDS]
    if len(means) < 10 or np.ptp(means) == 0:
        return 0.0
    return float(np.corrcoef(means[1:], means[:-1])[0, 1])


def _same_order(at: Context, least: int) -> int:
    """Batches of the newest two epochs that have the same targets at the same place; 0 when any differs. An epoch of
    which fewer than ``least`` were looked at has only begun: the two before it are compared."""
    if not (at.has("target.order") and at.has("epoch")):
        return 0
    epochs = at.view("epoch")
    begins = epochs.steps[np.concatenate(([0], np.flatnonzero(np.diff(epochs.scalar) > 0) + 1))]
    if len(begins) < 2:
        return 0
    orders = at.view("target.order")
    ends = [*begins[1:], at.step + 1]
    passes = [_placed(orders, begin, end) for begin, end in zip(begins[-3:], ends[-3:], strict=True)]
    if len(passes) > 2 and len(passes[-1]) < least:
        passes.pop()
    before, last = passes[-2:]
    shared = last.keys() & before.keys()
    if len(set(last.values())) < 2 or any(last[place] != before[place] for place in shared):
        return 0
    return len(shared)


def _came_again(at: Context) -> int:
    """Batches whose targets had come before, in the same order and always after a multiple of so many steps: of a loop
    without a loader."""
    if at.has("epoch") or not at.has("target.order"):
        return 0
    view = at.view("target.order").thin(RECORDS)
    last: dict[float, int] = {}
    lags = []
    for step, order in zip(view.steps.tolist(), view.scalar.tolist(), strict=True):
        if order in last:
            lags.append(step - last[order])
        last[order] = step
    return len(lags) if math.gcd(*lags) > 2 else 0


def _placed(orders: View, first: int, end: int) -> dict[int, float]:
    part = orders.since(int(first)).before(int(end))
    return {int(step - first): float(value) for step, value in zip(part.steps, part.scalar, strict=True)}


RULE = Rule(
    "not-shuffled",
    "the training data are not shuffled",
    "statistical",
    ("target.each", "target.count", "target.order", "target.mean", "target.std", "epoch", "batch.size"),
    (SHUFFLE,),
    "Note C98 (shuffle, shuffle, shuffle), C326; runs test after Barton and David (1957).",
    check,
    {"z": 6, "spread": 0.33, "batches": 3, "correlation": 0.7, "placed": 0.1, "times": 20},
)
