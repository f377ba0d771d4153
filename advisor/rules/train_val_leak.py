"""train-val-leak."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, percent
from ..passes import newest
from ..rule import Rule
from ..window import View, finite

SPLIT = "Split by sample, once"
RECORDS = 200
"""Records of training rows that are looked at: 51,200 rows at most."""
FINGERPRINTS = 1 << 24
REPEATED = 0.2
"""Share of the rows of a first pass that come again in it, above which equal rows prove nothing."""
LEAST = 2
"""Records that a first pass is read off, at least."""
SLACK = 0.05
"""Share of new records with which the rows are compared again."""


class Overlap(NamedTuple):
    """Distinct validation rows, those of them that training saw, and how many chance and duplicates explain."""

    rows: int
    matched: int
    expected: float
    all_alike: bool
    """Every validation batch has its share of them: no batch is free of training rows."""
    coverage: float
    """Share of the training rows whose fingerprint is known; 1 where their number is not."""


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Rows of the validation data were trained on.

    Why it matters
        What was trained on is predicted well. The validation numbers promise what the net does not keep, and they
        cannot show overfitting.

    How it is decided
        Fingerprints of the rows that enter the model in training and in validation are compared. Rows that agree by
        chance (24 bits: rows of training times rows of validation / 16.8 million) and those that repeat within the
        first epoch of training anyway are expected; five standard errors above twice that, five rows at least and 1 %
        of the validation rows is a leak. It is an error: identical rows are no matter of statistics. Under a tenth of
        them but for chance, which hardly moves a score, it is *watch*: real data have duplicates.

    When it is a false alarm
        A pass over the training data to measure the training accuracy is none, and is told from a leak: beside it
        there are batches without any training row. Where the evaluated data set is as large as the training set and
        all of it is known from training, it may be the training set on purpose: *watch*. Inputs that repeat by
        themselves (few discrete states) and random augmentation, which changes every fingerprint, are not judged.

    What to do
        Remove duplicates first, then split by sample (by person, by film, by day where samples of one belong
        together), and only then oversample or augment the training part.
    """
    overlap = at.once("overlap", ("input.rows", "input.val.rows"), lambda: _overlap(at), SLACK)
    n, m, expected = overlap.rows, overlap.matched, overlap.expected
    if m < max(limit["least"], limit["share"] * n) or m <= 2 * expected + limit["errors"] * math.sqrt(expected + 1):
        return None
    if not overlap.all_alike:
        raise Abstain("some validation batches are made of training rows and others of none: training is evaluated too")
    train, val = at.facts.get("train_rows"), at.facts.get("val_rows")
    same = val is None or train == val
    seen = m / max(n * overlap.coverage, 1)
    surely = seen * (1 - 2 / math.sqrt(m))  # two standard errors less: a sample that is common is met early
    severity: Severity = "watch" if surely < limit["few"] or (same and seen > 0.5) else "error"
    size = f"{train:,} training rows" if train else "the training rows"
    return Found(
        severity,
        f"{m} of {n} validation rows looked at are training rows ({percent(m / n)}; {expected:.2g} expected by chance)",
        (f"they have the same fingerprint as rows of training, of {size} a sample was looked at",),
        int(at.evaluations.steps[0]) if len(at.evaluations.steps) else at.step,
        (Evidence("input.val.rows", m / n, expected / n, "share of validation rows seen in training", 0, at.step),),
        (
            Remedy(
                SPLIT,
                f"{val if val else n} validation rows with {percent(m / n)} or more of training's → none: drop "
                "duplicates, split, then augment",
                "no validation row is seen in training; the validation loss rises to its true value",
            ),
        ),
        "If the split is clean, look for duplicates in the data, and for oversampling before the split.",
        exact=True,
    )


def _overlap(at: Context) -> Overlap:
    seen, shown = at.view("input.rows"), newest(at, "input.val.rows", 1).last(64)
    train = _distinct(seen.thin(RECORDS))
    val = _distinct(shown)
    first = _first_epoch(at, seen)
    begun = len(_distinct(first))
    repeats = 1 - begun / max(1, len(finite(first.values)))
    if repeats > REPEATED:
        raise Abstain("the inputs repeat by themselves: equal rows prove nothing")
    if not len(train) or not len(val):
        raise Abstain("no rows were measured")
    growth = len(train) / max(1, begun)
    chance = len(val) * (len(train) / FINGERPRINTS + min(1.0, repeats * growth))
    met = _met(shown.values, train)
    rows = np.isfinite(shown.values)
    shares = met.sum(axis=1) / np.maximum(rows.sum(axis=1), 1)
    known = _met(val, train)
    least = float(np.min(shares[rows.any(axis=1)], initial=1.0))
    alike = len(shares) == 1 or least > 0.2 * float(np.mean(known))
    coverage = min(1.0, len(train) / int(at.facts.get("train_rows") or len(train)))
    return Overlap(len(val), int(known.sum()), chance, alike, coverage)


def _met(rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Which of some rows are among the ``known`` ones, which are in order."""
    at = np.searchsorted(known, rows)
    return np.asarray(known[np.minimum(at, len(known) - 1)] == rows)


def _distinct(view: View) -> np.ndarray:
    return np.unique(finite(view.values))


def _first_epoch(at: Context, view: View) -> View:
    """Records in which no row can have come twice because the data began anew: those of the loader's first pass; where
    none is known, those before the first evaluation, and of these as few as hardly repeat."""
    if at.has("epoch"):
        epochs = at.view("epoch")
        later = np.flatnonzero(epochs.scalar > epochs.scalar[0])
        return (view.before(int(epochs.steps[later[0]])) if len(later) else view).thin(RECORDS)
    first = view.before(int(at.evaluations.steps[0]) + 1) if len(at.evaluations.steps) else view
    first = first.thin(RECORDS)
    while len(first.steps) > 2 * LEAST and _repeated(first) > REPEATED:
        first = View(first.series, first.steps[: len(first.steps) // 2], first.values[: len(first.steps) // 2])
    return first


def _repeated(view: View) -> float:
    """Share of the rows that came before."""
    return 1 - len(_distinct(view)) / max(1, len(finite(view.values)))


RULE = Rule(
    "train-val-leak",
    "validation rows were trained on",
    "invariant",
    ("input.rows", "input.val.rows", "epoch"),
    (SPLIT,),
    "Note D2, K12. Exact row hashes: perceptual ones call 65 % of the digits duplicates, exact ones none.",
    check,
    {"errors": 5, "least": 5, "share": 0.01, "few": 0.1},
    votes=(1, 1),
)
