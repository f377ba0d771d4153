"""imbalance."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..check import Check, Verdict
from ..finding import Abstain, number, percent
from ..place import of_loss
from ..script import loss
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """How often each class occurs.

    Why it matters
        A net that says the frequent class always is right nearly always, and has learned nothing.

    How it is decided
        The most frequent class over the rarest one: 10 times is told, 100 times, or an entropy of the labels under
        half of that of equal classes, is a warning. Told only where the loss is weighted or the sampler draws the
        classes equally often.

    When it is a false alarm
        Words of a language are never balanced: vocabularies of over 200 are not judged.

    What to do
        Look at the recall of each class; WeightedRandomSampler or weights in the loss.
    """
    classes = at.facts.get("classes")
    if not classes and not str(loss(at).get("name") or "").startswith("binary_cross_entropy"):
        return None
    counts = _counts(at)
    if len(counts) < 2 or len(counts) > limit["vocabulary"]:
        return None
    share = np.array(list(counts.values()), float) / sum(counts.values())
    ratio = float(share.max() / share.min())
    entropy = float(-(share * np.log(share)).sum() / math.log(len(share)))
    rare = min(counts, key=lambda label: counts[label])
    least, most = percent(float(share.min())), percent(float(share.max()))
    said = f"class {rare} has {least} of the samples, the most frequent one {most}"
    if ratio <= limit["told"]:
        return Verdict("pass", said, ratio, limit["told"])
    known = bool(loss(at).get("weighted")) or at.facts.get("shuffle") == "WeightedRandomSampler"
    bad = (ratio > limit["ratio"] or entropy < limit["entropy"]) and not known
    weight = 1 / (len(share) * float(share.min()))
    return Verdict(
        "warn" if bad else "info",
        said,
        ratio,
        limit["told"],
        "" if known else f"no class weights{of_loss(at)} → weight = N / (C * count), {number(weight)} for class {rare}",
        "" if known else "the recall of every class is above 0",
    )


def _counts(at: Trials) -> dict[str, int]:
    target = (at.found.get("train") or {}).get("target") or {}
    if target.get("counts"):
        return {str(label): int(n) for label, n in target["counts"].items() if float(label) >= 0 and n}
    if target.get("min") == 0 and target.get("max") == 1:
        ones = round(float(target["mean"]) * int(at.found["train"]["read"]))
        return {"0": int(at.found["train"]["read"]) - ones, "1": max(ones, 1)}
    if at.has("target.count"):
        seen = np.nansum(at.view("target.count").values, axis=0)
        return {str(label): int(n) for label, n in enumerate(seen) if n}
    raise Abstain("the labels were not counted")


CHECK = Check(
    "imbalance",
    "classes about equally frequent",
    "Notes K12, D4, C325.",
    judge,
    {"told": 10, "ratio": 100, "entropy": 0.5, "vocabulary": 200},
)
