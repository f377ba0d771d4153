"""One number per record: what curves are drawn from, with its pyramid and its averages, growing as the run does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnwatch import scratch
from nnwatch.history import Track
from nnwatch.series import Floats, Series, Steps

from .draw.pyramid import Extremes, Pyramid
from .draw.smooth import Ema
from .landmarks import Landmarks

Reduce = Callable[..., Any]


class Column:
    """``steps`` (n,) and ``values`` float32 (n,), each growing at its end."""

    def __init__(self) -> None:
        self.taken = 0
        """Records of the series that were looked at; some may have held nothing."""
        self._n = 0
        self._steps = scratch.array((256,), np.int64)
        self._values = scratch.array((256,), np.float32)
        self._pyramid = Pyramid()
        self._smooth: dict[float, tuple[Ema, Column]] = {}
        self._shown: tuple[Any, int, Extremes] | None = None
        """Edges and records that extremes were last asked for, and these."""

    def __len__(self) -> int:
        return self._n

    @property
    def steps(self) -> Steps:
        return self._steps[: self._n]

    @property
    def values(self) -> Floats:
        return self._values[: self._n]

    def until(self, step: int | None) -> int:
        """How many records belong to ``step`` or before; all for None."""
        return self._n if step is None else int(np.searchsorted(self.steps, step, side="right"))

    def at(self, step: int | None) -> float | None:
        """The value at ``step`` or last before it, None before the first."""
        n = self.until(step)
        return float(self._values[n - 1]) if n else None

    def extend(self, steps: Any, values: Any) -> None:
        end = self._n + len(steps)
        if end > len(self._steps):
            size = max(end, 2 * len(self._steps))
            for name in ("_steps", "_values"):
                old = getattr(self, name)
                new = scratch.array((size,), old.dtype)
                new[: self._n] = old[: self._n]
                setattr(self, name, new)
        self._steps[self._n : end], self._values[self._n : end] = steps, values
        self._n = end

    def extremes(self, edges: Any, until: int | None = None) -> Extremes:
        """Smallest and largest value between neighbouring ``edges`` (steps), nothing after record ``until``.

        The same object as last time where they are as they were: most new points change no picture.
        """
        n = self._n if until is None else until
        if self._shown is None or not self._within(*self._shown, edges, n):
            self._pyramid.update(self.values)
            rows = np.searchsorted(self.steps[:n], edges, side="left")
            self._shown = edges, n, self._pyramid.query(self.values, rows)
        return self._shown[2]

    def _within(self, edges: Any, done: int, shown: Extremes, now: Any, n: int) -> bool:
        """Whether the records after ``done`` up to ``n`` lie within what is shown of their columns already."""
        if n < done or not (edges is now or np.array_equal(edges, now)):
            return False
        values, at = self._values[done:n], np.searchsorted(edges, self._steps[done:n], side="right") - 1
        if n > done and not (at[0] >= 0 and at[-1] < len(shown.low)):
            return False
        return bool(((shown.low[at] <= values) & (values <= shown.high[at])).all())

    def smoothed(self, weight: float) -> Column:
        """The debiased moving average of this column."""
        if weight not in self._smooth:
            self._smooth[weight] = Ema(weight), Column()
        ema, column = self._smooth[weight]
        done = len(column)
        if done < self._n:
            column.extend(self.steps[done:], ema.extend(self.values[done:]))
        return column


def _median(values: Any) -> Any:
    """Median over what was measured; NaN where nothing was."""
    out = np.full(len(values), np.nan, np.float32)
    some = ~np.isnan(values).all(axis=1)
    if some.any():
        out[some] = np.nanmedian(values[some], axis=1)
    return out


def _largest(values: Any) -> Any:
    return np.fmax.reduce(values, axis=1)


def _first(values: Any) -> Any:
    return values[:, 0]


def _rate(seconds: Any, samples: Any = None) -> Any:
    amount = 1.0 if samples is None else samples[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(seconds[:, 0] > 0, amount / seconds[:, 0], np.nan)


def _sureness(counts: Any) -> Any:
    """Mean softmax maximum of histograms (n, 2 * bins): wrong predictions, then right ones."""
    bins = counts.shape[1] // 2
    middle = np.tile((np.arange(bins) + 0.5) / bins, 2)
    total = counts.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, counts @ middle / total, np.nan)


_DERIVED: dict[str, tuple[tuple[str, ...], Reduce]] = {
    "lr": (("lr",), _largest),
    "update.ratio": (("update.ratio",), _median),
    "steps.rate": (("step.seconds",), _rate),
    "sure.train": (("confidence.train",), _sureness),
    "sure.val": (("confidence.val",), _sureness),
    "samples.rate": (("step.seconds", "batch.size"), _rate),
}
"""Columns that are not a metric's first number: the metrics they are made from, and how."""


_NAN_IS_NEWS = ("loss.", "grad.")
"""Metrics whose NaN is a value of the training; elsewhere it says that nothing was measured."""


def metric_of(column: str) -> str:
    """The metric that a column is, or the first of those it is made from."""
    return _DERIVED[column][0][0] if column in _DERIVED else column.partition("@")[0]


class Columns:
    """All columns that were asked for, by segment, rank and name; brought up to date when asked again."""

    def __init__(self) -> None:
        self._columns: dict[tuple[int, int, str], Column] = {}
        self._evaluations: dict[tuple[int, int, str], int] = {}
        self._landmarks: dict[tuple[int, int], Landmarks] = {}

    def landmarks(self, track: Track, steps_per_epoch: Any) -> Landmarks:
        """Epochs and jumps of the learning rate."""
        mine = self._landmarks.setdefault((track.segment.segment, track.segment.rank), Landmarks())
        return mine.update(track, steps_per_epoch)

    def get(self, track: Track, name: str) -> Column | None:
        """A metric's column, derived where it has many numbers, per evaluation for ``loss.val`` and ``accuracy.val``;
        ``METRIC@LAYER`` is that of one layer.

        None where there are no data.
        """
        key = (track.segment.segment, track.segment.rank, name)
        metric, _, layer = name.partition("@")
        if layer:
            return self._of_layer(track, key, metric, layer)
        if name in ("loss.val", "accuracy.val"):
            return self._evaluation(track, key)
        metrics, reduce = _DERIVED.get(name, ((name,), _first))
        found = [track.get(metric) for metric in metrics]
        if any(series is None for series in found):
            return None
        series: list[Series] = [one for one in found if one is not None]
        column = self._columns.setdefault(key, Column())
        begin, end = column.taken, min(len(one) for one in series)
        if end > begin:
            steps, values = series[0].steps[begin:end], reduce(*(one.values[begin:end] for one in series))
            if not name.startswith(_NAN_IS_NEWS):
                measured = ~np.isnan(values)
                steps, values = steps[measured], values[measured]
            column.extend(steps, values)
            column.taken = end
        return column if len(column) else None

    def _of_layer(self, track: Track, key: tuple[int, int, str], metric: str, layer: str) -> Column | None:
        series = track.get(metric)
        names = series.names() if series is not None else []
        if series is None or layer not in names:
            return None
        column = self._columns.setdefault(key, Column())
        begin = column.taken
        if len(series) > begin:
            values = series.values[begin:, names.index(layer)]
            some = np.full(len(values), True) if metric.startswith(_NAN_IS_NEWS) else ~np.isnan(values)
            column.extend(series.steps[begin:][some], values[some])
            column.taken = len(series)
        return column if len(column) else None

    def _evaluation(self, track: Track, key: tuple[int, int, str]) -> Column | None:
        batches = len(track.get("loss.val", ()))
        if self._evaluations.get(key) != batches:
            passes = track.evaluations()
            column = Column()
            column.extend(passes.steps, passes.loss if key[2] == "loss.val" else passes.accuracy)
            self._columns[key], self._evaluations[key] = column, batches
        column = self._columns[key]
        return column if len(column) and not np.isnan(column.values).all() else None
