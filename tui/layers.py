"""The layer table's numbers: one row a parameter or activation layer, one column a metric."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnwatch.series import Series

from .view import View

METRICS = ("update.ratio", "grad.norm.layer", "act.dead", "act.saturated", "weight.norm", "act.std", "act.mean")
"""In the order in which they are given up where there is little room."""
SHARES = ("act.dead", "act.saturated")
"""Those whose values are shares of the units."""
ORDERS = ("worst first", "model order", *METRICS)
GUIDE = 1e-3
"""The update/weight ratio that healthy training tends to show (Karpathy, CS231n notes)."""
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


class Outline(NamedTuple):
    """What a table of given metrics has in common from sample to sample: its rows, the blocks among them, the row
    (blocks behind the others) of each name, and the cells that name and kind need."""

    rows: Index
    fold: Fold
    row_of: dict[str, int]
    widths: NDArray[np.int64]


def outline(metrics: dict[str, Series]) -> Outline:
    """The outline of a table with all names of the metrics."""
    rows = index(metrics)
    folds = fold(rows)
    names = [*rows.names, *folds.patterns]
    kinds = [*rows.kinds, *(rows.kinds[members[0]] for members in folds.members)]
    widths = np.array([len(name) + len(kind) for name, kind in zip(names, kinds, strict=True)])
    return Outline(rows, folds, {name: row for row, name in enumerate(names)}, widths)


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


class Fold(NamedTuple):
    """Repeated blocks: ``patterns`` such as ``blocks.*.qkv.weight``, for each the rows that it stands for, and for
    each row the number of its pattern, -1 for none."""

    patterns: list[str]
    members: list[NDArray[np.int64]]
    of: NDArray[np.int64]


def pattern(name: str) -> str | None:
    """The name with its block numbers left open; None where the number itself is the layer (``features.3.weight``)."""
    path = name.split(".")
    owner = path[-2:] if path[-1] in ("weight", "bias") else path[-1:]
    if len(path) <= len(owner) or owner[0].isdecimal() or not any(map(str.isdecimal, path)):
        return None
    return ".".join("*" if part.isdecimal() else part for part in path)


def fold(rows: Index) -> Fold:
    """Rows that are the same part of blocks of the same kind, two or more together."""
    found: dict[tuple[str, str], list[int]] = {}
    for i, (name, kind) in enumerate(zip(rows.names, rows.kinds, strict=True)):
        if (key := pattern(name)) is not None:
            found.setdefault((key, kind), []).append(i)
    groups = {key: np.array(members) for key, members in found.items() if len(members) > 1}
    of = np.full(len(rows.names), -1)
    for number, members in enumerate(groups.values()):
        of[members] = number
    return Fold([f"{key} ×{len(members)}" for (key, _), members in groups.items()], list(groups.values()), of)


def with_blocks(table: Layers, folds: Fold) -> Layers:
    """The table with a row behind its own for each pattern: of each metric the worst value among the members."""
    if not folds.patterns:
        return table
    far = _distance(table.values)
    worst = np.array([members[np.argmax(far[members], axis=0)] for members in folds.members])
    columns = np.arange(table.values.shape[1])
    return Layers(
        [*table.names, *folds.patterns],
        [*table.kinds, *(table.kinds[members[0]] for members in folds.members)],
        np.vstack([table.values, table.values[worst, columns]]),
        np.vstack([table.place, table.place[worst, columns]]),
        np.concatenate([table.badness, [table.badness[members].max() for members in folds.members]]),
    )


def listed(table: Layers, folds: Fold, order: str, sought: str, opened: set[str] | None) -> list[int]:
    """The rows to show, in order: blocks as one row, behind it its members where it was ``opened`` (None: no blocks).

    Where letters are ``sought``, all layers with them in their names.
    """
    single = len(folds.of)
    if opened is None or sought:
        found = [i for i in range(single) if sought in table.names[i].lower()] if sought else list(range(single))
        return _sorted(table, found, order)
    first = {int(members[0]): single + number for number, members in enumerate(folds.members)}
    rows = []
    for row in _sorted(table, [first.get(i, i) for i in range(single) if folds.of[i] < 0 or i in first], order):
        rows.append(row)
        if table.names[row] in opened:
            rows += _sorted(table, folds.members[row - single].tolist(), order)
    return rows


def _sorted(table: Layers, rows: list[int], order: str) -> list[int]:
    """Rows by one of ORDERS, what was not measured last."""
    if order == "model order":
        return rows
    values = (table.badness if order == "worst first" else table.values[:, METRICS.index(order)])[rows]
    ranks = np.argsort(np.nan_to_num(-values, nan=np.inf), kind="stable")
    return [rows[rank] for rank in ranks]


def _distance(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How remarkable each number is in its column: far from the guide, many dead, or unlike the median."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log10(np.maximum(np.abs(values), 1e-12))
        usual = np.array(
            [np.median(column[np.isfinite(column)]) if np.isfinite(column).any() else 0 for column in logs.T]
        )
        usual[METRICS.index("update.ratio")] = np.log10(GUIDE)
        far = np.abs(logs - usual)
    for metric in SHARES:
        far[:, METRICS.index(metric)] = values[:, METRICS.index(metric)]
    far[np.isinf(values)] = np.inf
    return np.asarray(np.where(np.isnan(values), -1.0, far))


def _badness(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each row is from what is usual, in coarse steps so that noise does not reorder the table."""
    ratio = values[:, METRICS.index("update.ratio")]
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.abs(np.log10(np.maximum(ratio, 1e-9) / GUIDE)) / 2
    dead = np.maximum(values[:, METRICS.index("act.dead")], 0)
    full = np.maximum(values[:, METRICS.index("act.saturated")], 0)
    worst = np.fmax.reduce([far, dead, full, np.zeros(len(values))], axis=0)
    worst[np.isinf(values).any(axis=1)] = np.inf
    return np.asarray(np.floor(worst * 4) / 4)


def is_far(metric: str, value: float) -> bool:
    """Whether a value deserves a mark. A mark is not a finding: rules need an outcome as well."""
    if metric == "update.ratio":
        return bool(abs(np.log10(max(value, 1e-9) / GUIDE)) / 2 >= _FAR / 2)
    return metric in SHARES and value >= 0.5


def heat(metric: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places (0 to 1) on the heat scale: shares as they are, the update ratio on 1e-6 to 1, others among the rows."""
    if metric in SHARES:
        return values
    if metric == "update.ratio":
        return np.asarray((np.log10(np.maximum(values, 1e-9)) + 6) / 6)
    logs = values if metric == "act.mean" else np.log10(np.maximum(np.abs(values), 1e-12))
    good = logs[np.isfinite(logs)]
    spread = float(np.ptp(good)) if len(good) else 0.0
    if spread < 1e-9:
        return np.where(np.isfinite(logs), 0.5, np.nan)
    return np.asarray((logs - good.min()) / spread)
