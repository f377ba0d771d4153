"""Linear models on the flattened input: a closed form for numbers, accelerated gradient descent for classes.

scikit-learn would take seconds to load into the script's process and may not be there; these give the same model
wherever they run.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Ints = NDArray[np.int64]
PENALTY = 1e-3
ROUNDS = 200


class Scale:
    """Features of mean 0 and deviation 1, as the training rows have them; a constant column for the bias."""

    def __init__(self, x: Numbers) -> None:
        self.mean, std = x.mean(0), x.std(0)
        self.std = np.where(std > 1e-9, std, 1.0)

    def __call__(self, x: Numbers) -> Numbers:
        return np.concatenate([np.clip((x - self.mean) / self.std, -10, 10), np.ones((len(x), 1))], 1)


def ridge(x: Numbers, y: Numbers, held: Numbers) -> Numbers:
    """Predictions (m, k) for ``held`` (m, d) of least squares with a penalty on ``x`` (n, d), ``y`` (n, k)."""
    scale = Scale(x)
    a, b = scale(x), scale(held)
    if a.shape[1] <= len(a):
        weights = np.linalg.solve(a.T @ a + PENALTY * len(a) * np.eye(a.shape[1]), a.T @ y)
        return b @ weights
    return b @ (a.T @ np.linalg.solve(a @ a.T + PENALTY * len(a) * np.eye(len(a)), y))


def logistic(x: Numbers, labels: Ints, classes: int, held: Numbers) -> Numbers:
    """Probabilities (m, classes) for ``held`` of logistic regression (Nesterov 1983, step 1 / Lipschitz constant)."""
    scale = Scale(x)
    a, b = scale(x), scale(held)
    wanted = np.eye(classes)[labels]
    largest = _largest(a) / len(a)
    weights = np.zeros((a.shape[1], classes))
    before, t = weights, 1.0
    for _ in range(ROUNDS):
        following = (1 + math.sqrt(1 + 4 * t * t)) / 2
        ahead = weights + (t - 1) / following * (weights - before)
        gradient = a.T @ (_softmax(a @ ahead) - wanted) / len(a) + PENALTY * ahead
        before, weights, t = weights, ahead - gradient / (0.5 * largest + PENALTY), following
    return _softmax(b @ weights)


def _largest(a: Numbers) -> float:
    """Largest eigenvalue of aᵀa, by ten rounds of the power method, a little too large."""
    v = np.ones(a.shape[1]) / math.sqrt(a.shape[1])
    norm = 1.0
    for _ in range(10):
        v = a.T @ (a @ v)
        norm = float(np.linalg.norm(v))
        v /= norm
    return 1.1 * norm


def _softmax(z: Numbers) -> Numbers:
    e = np.exp(z - z.max(1, keepdims=True))
    made: Numbers = e / e.sum(1, keepdims=True)
    return made
