"""How large the numbers are that enter a layer, and whether they differ at all, told by two of its gradients.

Of a layer y = W x + b with the gradient g of its outputs, the bias gets the sum of g over all samples and the weight
the sum of g xᵀ: the norm of the second over that of the first, and over the square root of the fan-in, is the size of
an element of x. So what the model itself makes of its input is seen too, behind whatever a probe at its entrance sees.
Healthy runs of 26 kinds of task, and of 37 others, have 0.03 to 9 in their first layer. In front of a normalisation
over the batch or over an image a bias has no gradient but rounding: of nets with such layers only zeros are told,
which leave the weight without any gradient. Left out are nets
that are given a single number and no samples (the time of a differential equation): they make up what enters.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from .context import Context
from .layers import shape_of
from .window import median

_SHIFTLESS = re.compile(r"(Batch|Instance|Group)Norm")
ROUNDING = 1e5
"""Size over which the bias of a layer has no gradient but rounding, whatever the reason."""
FIRST = 20
"""Sampled steps that the size is read from: before the layer has turned from its input."""
LEAST = 10


class Entering(NamedTuple):
    """``size`` of the elements that enter ``layer`` (root mean square: of the first sampled step, or the median of the
    first twenty, what is nearer to 1; 0 where they are zero), and whether these are ``constant``: the same numbers for
    every sample of every step."""

    layer: str
    size: float
    constant: bool


def entering(at: Context) -> Entering | None:
    """The first layer that has a weight matrix and a bias; None where there is none, or its bias has no gradient."""
    if not at.has("grad.norm.layer"):
        return None
    if (at.facts.get("shapes") or {}).get("input") == []:
        return None
    return at.once("entering", ("grad.norm.layer",), lambda: _entering(at), slack=0.05)


def _entering(at: Context) -> Entering | None:
    view = at.view("grad.norm.layer")
    pair = _first_pair(at)
    if pair is None or len(view.steps) < LEAST:
        return None
    weight, bias = (view.values[:, column].astype(np.float64) for column in pair)
    shape = shape_of(view.notes[pair[0]])
    moved = np.isfinite(weight) & (bias > 0)
    if moved.sum() < LEAST or not np.all(np.isfinite(weight[np.isfinite(bias)])):
        return None
    sizes = weight[moved] / bias[moved] / np.sqrt(np.prod(shape[1:]))
    early = float(sizes[0]), median(sizes[:FIRST])
    size = min(early, key=lambda value: abs(np.log(max(value, 1e-30))))
    kinds = (str(row[1]) for row in at.facts.get("modules") or ())
    shiftless = at.batchnorm or any(_SHIFTLESS.search(kind) for kind in kinds)
    if (shiftless and np.any(sizes)) or size > ROUNDING:
        return None
    low, high = float(np.min(sizes)), float(np.max(sizes))
    return Entering(view.names[pair[0]], size, high <= (1 + 1e-3) * low)


def _first_pair(at: Context) -> tuple[int, int] | None:
    """Columns of the first weight matrix with a bias of its own, and of that bias."""
    view = at.view("grad.norm.layer")
    columns = {name: column for column, name in enumerate(view.names)}
    for name, column in columns.items():
        bias = name.replace("weight", "bias")
        if bias in columns and bias != name and column in at.weights(view):
            return column, columns[bias]
    return None
