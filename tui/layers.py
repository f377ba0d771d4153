"""The layer table's numbers: one row a parameter or activation layer, one column a metric."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnwatch.history import Series

from .view import View

METRICS = ("update.ratio", "grad.norm.layer", "act.dead", "act.saturated", "weight.norm", "act.std", "act.mean")
"""In the order in which they are given up where there is little room."""
_GUIDE = 1e-3
_FAR = 1.0
"""A row that is this bad is marked: its update ratio a factor of 100 from the guide, or all units dead."""


class Index(NamedTuple):
    """Which rows there are: ``rows`` and, for each metric that is there, the row of each of its columns."""

    names: list[str]
    kinds: list[str]
    rows: dict[str, NDArray[np.int64]]


class Layers(NamedTuple):
    """``values`` (rows, metrics) NaN where a metric does not apply; ``place`` (rows, metrics) is the column of a
    row in that metric's series, -1 for none; ``badness`` (rows,)."""

    names: list[str]
    kinds: list[str]
    values: NDArray[np.float64]
    place: NDArray[np.int64]
    badness: NDArray[np.float64]


def index(metrics: dict[str, Series]) -> Index:
    """Rows for all names of the metrics, in model order."""
    names, kinds = _order(list(metrics.values()))
    number = {name: i for i, name in enumerate(names)}
    return Index(names, kinds, {m: np.array([number[name] for name in s.names()]) for m, s in metrics.items()})


def layers(view: View, rows: Index) -> Layers:
    """The table at the view's moment."""
    values = np.full((len(rows.names), len(METRICS)), np.nan)
    place = np.full(values.shape, -1, np.int64)
    for k, metric in enumerate(METRICS):
        found = view.row(metric)
        if found is not None:
            series, newest = found
            values[rows.rows[metric], k] = series.values[newest]
            place[rows.rows[metric], k] = np.arange(series.width)
    return Layers(rows.names, rows.kinds, values, place, _badness(values))


def _order(metrics: list[Series]) -> tuple[list[str], list[str]]:
    """Names and kinds in model order: the first metric's as they are, what only others have where it belongs."""
    names: list[str] = []
    kinds: dict[str, str] = {}
    for series in metrics:
        notes = series.labels.notes if series.labels is not None else []
        for i, name in enumerate(series.names()):
            if name not in kinds:
                kinds[name] = notes[i] if i < len(notes) else ""
                names.insert(len(names) if series is metrics[0] else _place(names, name), name)
    return names, [kinds[name] for name in names]


def _place(names: list[str], name: str) -> int:
    """Where a module belongs: behind those with the longest common path, by number where modules are numbered."""
    path = name.split(".")
    for length in range(len(path) - 1, -1, -1):
        prefix = "".join(f"{part}." for part in path[:length])
        family = [i for i, other in enumerate(names) if other.startswith(prefix)]
        if not family:
            continue
        if path[length].isdecimal():
            numbers = [(i, names[i][len(prefix) :].split(".")[0]) for i in family]
            earlier = [i for i, part in numbers if part.isdecimal() and int(part) <= int(path[length])]
            return earlier[-1] + 1 if earlier else family[0]
        return family[-1] + 1
    return len(names)


def _badness(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each row is from what is usual, in coarse steps so that noise does not reorder the table."""
    ratio = values[:, METRICS.index("update.ratio")]
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.abs(np.log10(np.maximum(ratio, 1e-9) / _GUIDE)) / 2
    dead = np.maximum(values[:, METRICS.index("act.dead")], 0)
    full = np.maximum(values[:, METRICS.index("act.saturated")], 0)
    worst = np.fmax.reduce([far, dead, full, np.zeros(len(values))], axis=0)
    worst[np.isinf(values).any(axis=1)] = np.inf
    return np.asarray(np.floor(worst * 4) / 4)


def is_far(metric: str, value: float) -> bool:
    """Whether a value deserves a mark. A mark is not a finding: rules need an outcome as well."""
    if metric == "update.ratio":
        return bool(abs(np.log10(max(value, 1e-9) / _GUIDE)) / 2 >= _FAR / 2)
    return metric in ("act.dead", "act.saturated") and value >= 0.5


def heat(metric: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places (0 to 1) on the heat scale: shares as they are, the update ratio on 1e-6 to 1, others among the rows."""
    if metric in ("act.dead", "act.saturated"):
        return values
    if metric == "update.ratio":
        return np.asarray((np.log10(np.maximum(values, 1e-9)) + 6) / 6)
    logs = values if metric == "act.mean" else np.log10(np.maximum(np.abs(values), 1e-12))
    good = logs[np.isfinite(logs)]
    spread = float(np.ptp(good)) if len(good) else 0.0
    if spread < 1e-9:
        return np.where(np.isfinite(logs), 0.5, np.nan)
    return np.asarray((logs - good.min()) / spread)
