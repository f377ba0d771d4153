"""What must be beaten: a guess that never looks at the input, and a linear model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .found import find
from .linear import Ints, Numbers, logistic, ridge
from .reading import TOLD, Reading, labels_of
from .sets import same_random
from .subject import NotPossibleError, Subject

ROWS = 2000
FEATURES = 3072
"""Rows and features of the linear model, at most: a colour picture of 32 x 32 pixels whole, of larger ones a grid."""
CLASSES = 100
SHARE, SECONDS = 0.1, 5.0
"""Time for reading a data set."""
DOUBT, SURE = 0.05, 0.6
"""A label is in doubt where a linear model gives it less than the first and another class more than the second."""
FOLDS = 5


def baselines(subject: Subject) -> dict[str, Any]:
    """``majority`` or ``mean``, and ``linear``, with ``loss`` and ``accuracy``, and ``suspects``, the
    samples whose label is in doubt. Raises NotPossibleError for data without one target a sample."""
    sources = find(subject)
    seconds = min(SECONDS, SHARE * subject.seconds)
    with same_random():
        train = Reading(sources[0], seconds)
        held = Reading(sources[1], seconds) if len(sources) > 1 else None
    x, y = _rows(train)
    if held is not None and len(held) >= 20:
        on = f"{held.source.role} data"
        a, b = _rows(held)
    else:
        on, part = "every tenth training sample", np.arange(len(x)) % 10 == 0
        (x, a), (y, b) = (x[~part], x[part]), (y[~part], y[part])
    if subject.seconds < 1 or len(x) < 20:
        raise NotPossibleError("too few samples could be read for it")
    told: dict[str, Any] = {"on": f"{len(a)} samples of the {on}" if held is not None else on}
    labels, wanted = labels_of([*y]), labels_of([*b])
    if labels is not None and wanted is not None and labels.min() >= 0:
        return told | _classes(x, labels, a, wanted)
    return told | _numbers(x, y.reshape(len(y), -1), a, b.reshape(len(b), -1))


def _rows(read: Reading) -> tuple[Numbers, NDArray[Any]]:
    """Flattened inputs (n, features) and targets of the samples read."""
    x, y = read.x, read.y
    if x is None or y is None:
        raise NotPossibleError("samples or targets have no common shape")
    if not read.dtype.startswith("float"):
        raise NotPossibleError("a linear model of tokens would say nothing")
    flat = x[:ROWS].reshape(min(len(x), ROWS), -1)
    flat = flat[:, :: -(-flat.shape[1] // FEATURES)]
    kept = np.isfinite(flat).all(1)
    return flat[kept].astype(np.float64), y[:ROWS][kept]


def _classes(x: Numbers, labels: Ints, a: Numbers, wanted: Ints) -> dict[str, Any]:
    classes = int(max(labels.max(), wanted.max())) + 1
    counts = np.bincount(labels, minlength=classes) + 1e-9
    share = counts / counts.sum()
    guess = {"accuracy": float(np.mean(wanted == counts.argmax())), "loss": float(-np.log(share[wanted]).mean())}
    if classes > CLASSES:
        return {"majority": guess}
    told = logistic(x, labels, classes, a)
    sure = np.maximum(told[np.arange(len(wanted)), wanted], 1e-12)
    linear = {"accuracy": float(np.mean(told.argmax(1) == wanted)), "loss": float(-np.log(sure).mean())}
    found: dict[str, Any] = {"majority": guess, "linear": linear}
    if linear["accuracy"] > 0.5 + 0.5 * guess["accuracy"]:  # only one that is right on most is asked
        found["suspects"] = _suspects(x, labels, classes)
    return found


def _suspects(x: Numbers, labels: Ints, classes: int) -> dict[str, Any]:
    """Samples whose label a model trained on four fifths of the others is sure to be wrong."""
    fold = np.arange(len(x)) % FOLDS
    doubt = np.zeros(len(x))
    for k in range(FOLDS):
        part = fold == k
        told = logistic(x[~part], labels[~part], classes, x[part])
        own = told[np.arange(part.sum()), labels[part]]
        doubt[part] = np.where((own < DOUBT) & (told.max(1) > SURE), 1 - own, 0)
    order = [int(i) for i in np.argsort(-doubt)[:TOLD] if doubt[i]]
    return {"share": float(np.mean(doubt > 0)), "samples": order}


def _numbers(x: Numbers, y: NDArray[Any], a: Numbers, b: NDArray[Any]) -> dict[str, Any]:
    """Losses are mean squared errors."""
    y, b = y.astype(np.float64), b.astype(np.float64)
    if y.shape[1] > 64:
        raise NotPossibleError("each sample has more than 64 numbers to predict")
    found = {"mean": {"loss": float(np.mean((b - y.mean(0)) ** 2))}}
    found["linear"] = {"loss": float(np.mean((b - ridge(x, y, a)) ** 2))}
    return found
