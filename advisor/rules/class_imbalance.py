"""class-imbalance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Severity
from nnwatch.series import Doubles

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..fixes import IMBALANCE, remedies, titles
from ..passes import TOKENS, classes, dense
from ..rule import Rule
from ..script import loss
from ..window import median


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Rare classes are not recognised, because they hardly take part in the training.

    Why it matters
        Accuracy hides it: with 99 of 100 samples of one class, never to find the other costs one per cent. It is mostly
        the rare class that the net is wanted for.

    How it is decided
        Mechanism: the training samples of a class are outnumbered ten to one by the most frequent. Outcome: in three
        evaluations, after a fifth of the run, under a tenth of its validation samples are recognised, of ten at least,
        while half of the samples of a typical frequent class are.
        A ratio of 100 alone is told as a fact, of up to 30 classes: more have a long tail by nature.

    When it is a false alarm
        A rare class that cannot be told from the input. Where frequent classes are hardly told apart either (the next
        letter of a text) rarity is not what is in the way, and nothing is said. With a weighted loss or a balanced
        sampler it is *watch*, at the end only: what can be done is done, and rare classes come last there too.

    What to do
        Judge by recall per class. Draw the classes equally often, or weigh them; start the last bias at the class
        frequencies so that the first steps are not spent on learning them.
    """
    if dense(at):
        raise Abstain("a sample has many labels")
    counts: Doubles = at.once(
        "labels", ("target.count",), lambda: np.nansum(at.view("target.count").thin(400).values, axis=0, dtype=float)
    )
    known = counts > 0
    if known.sum() < 2 or counts.sum() < 20 * len(counts):
        raise Abstain("too few labels were counted")
    ratios = np.where(known, counts.max() / np.where(known, counts, 1), 0)
    rare = np.flatnonzero(ratios > limit["ratio"])
    if not len(rare):
        return None
    balanced = bool(loss(at).get("weighted")) or at.facts.get("shuffle") == "WeightedRandomSampler"
    missed = [] if balanced and not at.over else _missed(at, limit, rare, known)
    worst = missed[0] if missed else int(np.argmax(ratios))
    ratio = float(ratios[worst])
    keys = [f"class {worst} is outnumbered {ratio:.0f} to 1 in the training batches"]
    if missed:
        keys.append(f"under {percent(limit['recall'])} of its validation samples are recognised")
    elif ratio < limit["fact"] or len(counts) > TOKENS or balanced:
        return None
    severity: Severity = "info" if not missed else "watch" if balanced else "warn"
    more = f" (and {len(missed) - 1} more)" if len(missed) > 1 else ""
    seen = f", and it is hardly ever recognised{more}" if missed else ""
    return Found(
        severity,
        f"class {worst} is {percent(float(counts[worst] / counts.sum()))} of the training labels{seen}",
        tuple(keys),
        at.track.segment.first_step + 1,
        (Evidence("target.count", 1 / ratio, 1 / limit["ratio"], "its count over that of the largest", 0, at.step),),
        remedies(at, IMBALANCE, f"recall of class {worst} on validation data is over {number(0.5)}"),
        "If weights do not help, look at twenty of its samples: can they be told from the others at all?",
    )


def _missed(at: Context, limit: Mapping[str, float], rare: np.ndarray, known: np.ndarray) -> list[int]:
    """Rare classes that the newest evaluations do not recognise; none while it is too early to expect it. ``known``
    (C,): classes that occur in training at all."""
    if at.step < at.track.segment.first_step + max(at.warmup, limit["part"] * at.horizon):
        return []
    try:
        newest = classes(at, int(limit["evaluations"]))
    except Abstain:
        return []
    shown, recall = newest.labels[-1], newest.recall
    frequent = [c for c in np.flatnonzero(shown >= 10) if c < len(known) and known[c] and c not in rare]
    if not median(recall[frequent]) >= limit["others"]:
        return []
    return [int(c) for c in rare if c < len(shown) and shown[c] >= 10 and recall[c] < limit["recall"]]


RULE = Rule(
    "class-imbalance",
    "rare classes are not learned",
    "statistical",
    ("target.count", "target.val.count", "predicted.val.count", "right.val.count", "val.size"),
    titles(IMBALANCE),
    "Notes D4, C325-326, K12; a ratio of 10 from SageMaker Debugger, which lacks the outcome.",
    check,
    {"ratio": 10, "fact": 100, "recall": 0.1, "others": 0.5, "part": 0.2, "evaluations": 3},
    slow=True,
)
