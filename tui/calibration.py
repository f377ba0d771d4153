"""What confidence histograms say: recent counts, reliability, and one sentence to read them by."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnwatch.metric import CONFIDENCE_BINS
from nnwatch.series import Series

Counts = NDArray[np.float64]
RECENT = 8
"""Records (batches) that the picture of the moment is summed over."""
_MIDDLE = (np.arange(CONFIDENCE_BINS) + 0.5) / CONFIDENCE_BINS
_AGREE = 0.05
_OFF = 0.1
_SURE = 0.7
_CHANCE = 1.5
"""Accuracy below so many times the share of one class is no better than guessing."""


def recent(series: Series, shown: int) -> Counts:
    """Counts (2, bins), wrong and right, of the last of ``shown`` records, of one evaluation at the most."""
    begin = max(shown - RECENT, 0)
    if series.metric.endswith(".val"):
        begin = int(np.searchsorted(series.steps[:shown], series.steps[shown - 1]))
    summed = series.values[begin:shown].sum(axis=0, dtype=np.float64)
    return np.asarray(summed.reshape(2, CONFIDENCE_BINS))


class Reliability(NamedTuple):
    """Per bin of confidence: samples and the share that was right (NaN where there is none). ``error`` is the expected
    calibration error: the mean distance between confidence and accuracy over the samples."""

    samples: Counts
    right: Counts
    error: float


def reliability(counts: Counts, bins: int) -> Reliability:
    """Guo et al. 2017, "On Calibration of Modern Neural Networks", with the middle of each bin for its confidence.

    ``counts`` (2, CONFIDENCE_BINS), ``bins`` divides CONFIDENCE_BINS.
    """
    wrong, right = counts
    both = wrong + right
    total = max(float(both.sum()), 1e-12)
    with np.errstate(invalid="ignore", divide="ignore"):
        fine = np.nan_to_num(np.abs(right / both - _MIDDLE))
        samples, good = (part.reshape(bins, -1).sum(axis=1) for part in (both, right))
        return Reliability(samples, good / samples, float((fine * both).sum() / total))


def sure_and_right(counts: Counts) -> tuple[float, float] | None:
    """Mean confidence and accuracy, None without samples."""
    total = counts.sum()
    if total <= 0:
        return None
    return float((counts.sum(axis=0) * _MIDDLE).sum() / total), float(counts[1].sum() / total)


def reading(counts: Counts) -> str:
    """Confidence against accuracy, in a few words."""
    found = sure_and_right(counts)
    if found is None:
        return ""
    sure, right = found
    word = "overconfident" if sure > right else "underconfident"
    match = f"{abs(sure - right) * 100:.0f} points {word}" if abs(sure - right) >= _AGREE else "they agree"
    return f"sure {sure:.0%}, right {right:.0%}: {match}"


def advice(train: Counts | None, val: Counts | None, classes: int | None) -> str:
    """One sentence: what the histograms suggest to do."""
    counts = val if val is not None else train
    found = sure_and_right(counts) if counts is not None else None
    if found is None:
        return ""
    sure, right = found
    if classes and right < _CHANCE / classes:
        return f"no better than guessing one of {classes} classes: it has not begun to learn"
    if sure - right >= _OFF:
        return "surer than it is right: do not trust its probabilities; regularise, smooth labels or calibrate"
    if sure < _SURE:
        return "still in the middle: train longer"
    if right - sure >= _OFF:
        return "right more often than it is sure: train longer, or smooth labels less"
    return "sure and about as often right: its probabilities can be used"
