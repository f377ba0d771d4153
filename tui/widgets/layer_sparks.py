"""How the numbers of layers got where they are: one sparkline a row, all of them drawn at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..draw.grid import Codes
from ..draw.pyramid import Pyramid
from ..draw.scale import fit
from ..draw.sparkline import spark_codes
from ..layers import METRICS, SHARES, Layers
from ..view import View

_DECADES = 0.4
"""A log axis shows at least so much: noise is no movement."""


class Sparks:
    """Keeps a pyramid for each metric, so that a long run costs no more than a short one."""

    def __init__(self) -> None:
        self._pyramids: dict[str, tuple[int, Pyramid]] = {}

    def draw(self, view: View, table: Layers, rows: list[int], cells: int, order: str) -> Codes:
        """Codes (rows, cells) of the metric that is sorted by, or of each row's first one."""
        codes: Codes = np.full((len(rows), cells), ord(" "), np.uint32)
        places = table.place[rows]
        wanted = METRICS.index(order) if order in METRICS else None
        chosen = np.argmax(places >= 0, axis=1) if wanted is None else np.full(len(rows), wanted)
        for k in set(chosen.tolist()):
            mine = np.flatnonzero((chosen == k) & (places[:, k] >= 0))
            if len(mine):
                highs = self._extremes(view, METRICS[k], cells, places[mine, k].tolist())
                codes[mine] = spark_codes(shares(METRICS[k], highs.T))
        return codes

    def _extremes(self, view: View, metric: str, cells: int, take: list[int]) -> Any:
        """Largest values (cells, len(take)) of some columns of a metric in each of the sparklines' columns."""
        found = view.row(metric)
        assert found is not None
        series, row = found
        if self._pyramids.get(metric, (0,))[0] != id(series):
            self._pyramids[metric] = id(series), Pyramid()
        pyramid = self._pyramids[metric][1]
        pyramid.update(series.values)
        x = fit(int(series.steps[0]), int(series.steps[row]), cells)
        edges = np.searchsorted(series.steps[: row + 1], x.edges(), side="left")
        return pyramid.query(series.values, edges, take).high


def shares(metric: str, values: Any) -> Any:
    """Places (rows, cells) on an axis of each row's own, 0 to 1: shares as they are, others on a log axis where all
    of a row's values are positive."""
    if metric in SHARES:
        return values
    values = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
    low, high = np.fmin.reduce(values, axis=1), np.fmax.reduce(values, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        log = (low > 0)[:, None]
        bent = np.where(log, np.log10(np.where(log, values, 1.0)), values)
        low, high = np.fmin.reduce(bent, axis=1, keepdims=True), np.fmax.reduce(bent, axis=1, keepdims=True)
        least = np.where(log, _DECADES, 1e-9 * np.maximum(np.abs(low), np.abs(high)) + 1e-30)
        lack = np.maximum(least - (high - low), 0)
        return (bent - low + lack / 2) / (high - low + lack)
