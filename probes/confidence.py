"""What a classifier predicts: right or wrong, how sure, which classes.

Logits of (N, C), (N, C, d...) with class indices or class probabilities as targets, and binary outputs of any shape.
Of a large batch a strided part of the rows is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from nnwatch.metric import CONFIDENCE_BINS

from . import kernel
from .emit import Column
from .fetch import Arrays
from .loss import Term

if TYPE_CHECKING:
    from numpy.typing import NDArray

ELEMENTS = 65536
"""Logits looked at, at most."""
ROWS = 16
"""Rows looked at, at least: with a vocabulary of 50,000 the logits of one row are already many."""
CLASSES = 1000
"""Above this many classes there are no counts per class."""
SOFTMAX = ("cross_entropy", "nll_loss")
BINARY = ("binary_cross_entropy", "binary_cross_entropy_with_logits")


class Prediction(NamedTuple):
    """``accuracy`` share; ``confidence`` (2 * bins,) wrong then right; counts per class (C,): ``predicted``,
    ``targets``, and ``right`` of each true class; ``logz`` mean of logsumexp; ``of_target`` mean probability of the
    right class; ``ignored`` share of the targets. None where it cannot be had."""

    accuracy: float
    confidence: NDArray[np.int64]
    predicted: NDArray[np.int64] | None = None
    targets: NDArray[np.int64] | None = None
    right: NDArray[np.int64] | None = None
    logz: float | None = None
    of_target: float | None = None
    ignored: float | None = None


Reduce = Callable[[Arrays], Prediction | None]

TRAIN = {
    "accuracy": "accuracy.train",
    "confidence": "confidence.train",
    "predicted": "predicted.count",
    "targets": "target.count",
    "right": "right.count",
    "logz": "output.logz",
    "of_target": "confidence.target",
    "ignored": "target.ignored",
}
"""Metrics of a training batch by the field of Prediction."""
VAL = {"accuracy": "accuracy.val", "confidence": "confidence.val"}
"""Of every validation batch."""
VAL_COUNTS = {"predicted": "predicted.val.count", "targets": "target.val.count", "right": "right.val.count"}


def columns(prediction: Prediction | None, names: Mapping[str, str]) -> list[Column]:
    """What is had of a prediction, as ``names`` says."""
    found = [(metric, getattr(prediction, field, None)) for field, metric in names.items()]
    return [(metric, 0, value) for metric, value in found if value is not None]


def select(term: Term) -> tuple[list[torch.Tensor], Reduce] | None:
    """The outputs and targets to look at, and what makes a Prediction of their values; None for any other loss."""
    output, target = term.input, term.target
    if output is None or target is None or not output.numel() or not output.is_floating_point():
        return None
    if term.name in BINARY and output.shape == target.shape:
        step = -(-output.numel() // ELEMENTS)
        with_logits = term.name != "binary_cross_entropy"
        parts = [output.detach().reshape(-1)[::step], target.detach().reshape(-1)[::step]]
        return parts, lambda arrays: _binary(arrays[0], arrays[1], with_logits)
    if term.name not in SOFTMAX or output.dim() < 2:
        return None
    soft = target.shape == output.shape and target.is_floating_point()
    if not soft and (target.is_floating_point() or target.shape != output.shape[:1] + output.shape[2:]):
        return None
    ignored = term.option("ignore_index", 4, -100)
    apart = distance(output)
    hard = target.detach().argmax(1) if soft else target.detach()
    parts = [output.detach().movedim(1, -1).flatten(0, -2)[::apart], hard.reshape(-1)[::apart]]
    return parts, lambda arrays: of_classes(arrays[0], arrays[1].astype(np.int64), ignored)


def native(term: Term) -> Prediction | None:
    """The same in one call, for the plain case: logits (N, C) and class indices on the CPU. None: see ``select``."""
    output, target = term.input, term.target
    if term.name not in SOFTMAX or output is None or target is None or output.dim() != 2 or not output.numel():
        return None
    counted = output.shape[1] <= CLASSES
    ignored = term.option("ignore_index", 4, -100)
    found = kernel.classes(output, target, ignored, distance(output), CONFIDENCE_BINS, counted)
    if found is None or not found.kept:
        return None
    predicted, targets, right = found.per_class if found.per_class is not None else (None, None, None)
    return Prediction(
        found.right / found.kept,
        found.confidence,
        predicted,
        targets if found.within else None,
        right if found.within else None,
        found.logz / found.kept,
        found.of_target / found.kept if found.within else None,
        1 - found.kept / found.rows,
    )


def distance(output: torch.Tensor) -> int:
    """Distance between the rows looked at."""
    classes = output.shape[1]
    count = output.numel() // classes
    return max(1, count // max(ROWS, ELEMENTS // classes))


def of_classes(logits: NDArray[Any], target: NDArray[np.int64], ignored: int) -> Prediction | None:
    """Of logits (N, C) and the class of each row."""
    rows = len(target)
    least = np.minimum.reduce(target, initial=0)
    if ignored >= least:  # else all count
        kept = target != ignored
        logits, target = logits[kept], target[kept]
        least = np.minimum.reduce(target, initial=0)
    size, classes = len(target), logits.shape[1]
    if not size:
        return None
    predicted = logits.argmax(1)
    right = predicted == target
    within = least >= 0 and target[target.argmax()] < classes
    with np.errstate(all="ignore"):
        highest = np.maximum.reduce(logits, 1)
        above = np.exp(logits - highest[:, None])
        sure = 1.0 / np.add.reduce(above, 1)
        logz = np.add.reduce(highest - np.log(sure)) / size
        of_target = float(above[np.arange(size), target].dot(sure)) / size if within else None
    count = classes <= CLASSES
    return Prediction(
        np.count_nonzero(right) / size,
        _histogram(sure, right),
        np.bincount(predicted, minlength=classes) if count else None,
        np.bincount(target, minlength=classes) if count and within else None,
        np.bincount(target[right], minlength=classes) if count and within else None,
        float(logz),
        of_target,
        1 - size / rows,
    )


def _binary(output: NDArray[Any], target: NDArray[Any], with_logits: bool) -> Prediction:
    with np.errstate(all="ignore"):
        one = 1.0 / (1.0 + np.exp(-output)) if with_logits else output
        right = (one > 0.5) == (target > 0.5)
        return Prediction(float(right.mean()), _histogram(np.maximum(one, 1.0 - one), right))


def _histogram(sure: NDArray[Any], right: NDArray[np.bool_]) -> NDArray[np.int64]:
    if np.isnan(sure.dot(sure)):  # what is sure lies between 0 and 1
        known = sure == sure
        sure, right = sure[known], right[known]
    place = np.minimum((sure * CONFIDENCE_BINS).astype(np.int64), CONFIDENCE_BINS - 1)
    place += right * CONFIDENCE_BINS
    return np.bincount(place, minlength=2 * CONFIDENCE_BINS)
