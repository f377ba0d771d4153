"""What is seen of each metric at a boundary."""

from __future__ import annotations

from nnwatch.history import Track

from .window import View


class Views(dict[str, View | None]):
    """What is seen of each metric at the boundary, None where it has no record yet; made when it is asked for, and kept
    for later boundaries until the step of the next record is reached."""

    def __init__(self, track: Track) -> None:
        super().__init__()
        self._track = track
        self._step = 0
        self._version = 0
        self._upcoming: dict[str, int] = {}
        """Step of the next record of each metric that has one."""

    def move(self, step: int, version: int) -> None:
        """Go on to a later step, or to a history that has grown."""
        if version != self._version:
            self.clear()
            self._upcoming.clear()
        else:
            for metric in [metric for metric, upcoming in self._upcoming.items() if upcoming <= step]:
                del self[metric], self._upcoming[metric]
        self._step, self._version = step, version

    def __missing__(self, metric: str) -> View | None:
        series = self._track.get(metric)
        view = None
        if series is not None:
            steps = series.steps
            count = int(steps.searchsorted(self._step, "right"))
            view = View(series, steps[:count], series.values[:count]) if count else None
            if count < len(steps):
                self._upcoming[metric] = steps.item(count)
        self[metric] = view
        return view
