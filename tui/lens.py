"""How all charts look at the steps: the stretch shown, the smoothing, the raw band."""

from __future__ import annotations

from dataclasses import dataclass

WEIGHTS: tuple[float, ...] = (0.8, 0.9, 0.99, 0.999)
_RECORDS = (100, 1_000, 10_000, 200_000)
"""From so many records on the next weight is taken by itself: its window is then some percent of the run at most."""
_SHORTEST = 10.0


@dataclass
class Lens:
    """``span`` steps before ``right`` are shown; None: all steps, and up to the newest."""

    span: float | None = None
    right: float | None = None
    smoothing: float | None = None
    chosen: bool = False
    """Whether the user set the smoothing; until then the length of the run does."""
    band: bool = True
    clock: bool = False
    """The time on the clock lies along the charts, not the steps."""

    @property
    def stretch(self) -> tuple[float | None, float | None, bool]:
        """What the x axes depend on."""
        return self.span, self.right, self.clock

    def weight(self, records: int) -> float | None:
        """Weight of the moving average for a curve of so many records, None for none."""
        if self.chosen:
            return self.smoothing
        row = (None, *WEIGHTS)
        return row[sum(records >= least for least in _RECORDS)]

    def next_smoothing(self) -> None:
        """Go through none and the weights."""
        row = (None, *WEIGHTS)
        self.smoothing = row[(row.index(self.smoothing) + 1) % len(row)] if self.chosen else None
        self.chosen = True

    def zoom(self, factor: float, centre: float, first: int, last: int) -> None:
        """Show a stretch ``factor`` times as long around ``centre``."""
        before = self.span if self.span is not None else float(last - first)
        span = max(before * factor, _SHORTEST)
        if span >= last - first:
            self.fit()
            return
        right = last if self.right is None else self.right
        right = centre + (right - centre) * factor
        self.span, self.right = span, None if right >= last else max(right, first + span)

    def pan(self, share: float, first: int, last: int) -> None:
        """Move the stretch by a share of its length."""
        if self.span is None:
            return
        right = (last if self.right is None else self.right) + share * self.span
        self.right = None if right >= last else max(right, first + self.span)

    def fit(self) -> None:
        """Show all steps again."""
        self.span = self.right = None
