"""Whether probabilities can be trusted, and which classes are predicted too often."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnwatch.metric import CONFIDENCE_BINS
from nnwatch.series import Series

from ..calibration import RECENT, recent, reliability
from ..draw.grid import Grid, Ink
from ..draw.text import count
from ..view import View
from .explained import Explained

_LABEL = 10
_LEGEND_FROM = 7
"""Rows from which the signs are explained."""


class ReliabilityDiagram(Explained):
    """One bar for each bin of confidence: how often these predictions were right, against how sure they were.

    ECE is the expected calibration error, the mean distance between the two.
    """

    DEFAULT_CSS = "ReliabilityDiagram { height: 1fr; }"
    about = "confidence.val"

    def key(self, view: View) -> Any:
        return view.row("confidence.val"), view.row("confidence.train")

    def draw(self, view: View, grid: Grid) -> None:
        rows = {name: view.row(f"confidence.{name}") for name in ("val", "train")}
        name, found = next(
            ((n, row) for n, row in rows.items() if row and row[0].width == 2 * CONFIDENCE_BINS), ("", None)
        )
        if found is None:
            grid.put(0, 0, "reliability", self.title_ink)
            grid.middle(view.missing("needs softmax confidences"), Ink.DIM)
            return
        most = grid.height - (1 if grid.height < _LEGEND_FROM else 2)
        bins = next((n for n in (10, 5, 4, 2) if n <= most), 1)
        told = reliability(recent(found[0], found[1] + 1), bins)
        x = grid.put(0, 0, f"reliability ({name})", self.title_ink)
        grid.put(x + 2, 0, f"ECE {told.error:.3f}", Ink.TEXT)
        room = grid.width - _LABEL - 7
        for row in range(min(bins, most)):
            k = bins - 1 - row
            sure, right = (k + 0.5) / bins, told.right[k]
            grid.right(_LABEL - 1, row + 1, f"sure {sure:.2f}", Ink.DIM)
            if told.samples[k]:
                grid.put(_LABEL, row + 1, "█" * round(right * room), Ink.SERIES)
                grid.right(grid.width, row + 1, f"{right:.0%}", Ink.TEXT)
            grid.put(_LABEL + min(round(sure * room), room - 1), row + 1, "┃", Ink.WARN)
        if grid.height >= _LEGEND_FROM:
            x = grid.put(_LABEL, bins + 1, "█ right", Ink.SERIES)
            grid.put(x + 2, bins + 1, "┃ as often as sure", Ink.WARN)


class Classes(Explained):
    """Predictions against labels, the classes that differ most first."""

    DEFAULT_CSS = "Classes { height: 1fr; }"
    about = "predicted.count"

    def key(self, view: View) -> Any:
        return view.row("target.count"), view.row("predicted.count")

    def draw(self, view: View, grid: Grid) -> None:
        grid.put(0, 0, f"predictions against labels (last {RECENT} batches)", self.title_ink)
        labels, predicted = view.row("target.count"), view.row("predicted.count")
        if labels is None or predicted is None or labels[0].width != predicted[0].width:
            grid.middle(view.missing("no labels per class: it needs a classification loss"), Ink.DIM)
            return
        was, said = _recent_sum(*labels), _recent_sum(*predicted)
        shown = np.argsort(-np.abs(said - was), kind="stable")[: grid.height - 2]
        names = labels[0].names()
        most = max(float(was.max()), float(said.max()), 1.0)
        room = max(grid.width - _LABEL - 16, 1)
        for y, k in enumerate(np.sort(shown) if len(shown) == len(was) else shown, 1):
            grid.put(0, y, names[k] if labels[0].labels else f"class {k}", Ink.DIM, _LABEL - 1)
            bar, mark = round(said[k] / most * room), min(round(was[k] / most * room), room - 1)
            grid.put(_LABEL, y, "█" * bar, Ink.SERIES)
            grid.put(_LABEL + mark, y, "┃", Ink.WARN)
            grid.right(grid.width, y, f"{count(said[k])} / {count(was[k])}", Ink.TEXT)
        y = min(len(shown) + 1, grid.height - 1)
        x = grid.put(_LABEL, y, "█ predicted", Ink.SERIES)
        grid.put(x + 2, y, "┃ labels", Ink.WARN)


def _recent_sum(series: Series, newest: int) -> NDArray[np.float64]:
    values = series.values[max(newest + 1 - RECENT, 0) : newest + 1]
    return np.asarray(np.nansum(values, axis=0, dtype=np.float64))
