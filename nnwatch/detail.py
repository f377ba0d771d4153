"""What a viewer that was sent an overview has in full, and what it should fetch of the part that is looked at."""

from __future__ import annotations

from .frame import Stretch
from .wire import Fetch

_CLOSER = 4
"""An overview, or a part fetched before, serves until so small a share of it is looked at."""
_FULL = 2000
"""So many steps are always sent in full."""


class Detail:
    """``look`` may be called from any thread, all else from the one that reads."""

    def __init__(self) -> None:
        self.wanted: Fetch | None = None
        self._coarse: dict[tuple[int, int], tuple[int, int]] = {}
        self._fetched: list[Fetch] = []

    def has(self, stretch: Stretch) -> None:
        """It came."""
        if stretch.every > 1:
            key = stretch.segment, stretch.rank
            first, last = self._coarse.get(key, (stretch.first, stretch.last))
            self._coarse[key] = min(first, stretch.first), max(last, stretch.last)

    def look(self, segment: int, rank: int, first: int, last: int) -> None:
        """These steps are looked at."""
        begin, end = self._coarse.get((segment, rank), (0, -1))
        span = max(last - first, 1)
        if last < begin or first > end or _CLOSER * span > end - begin:
            return
        for had in self._fetched:
            if (had.segment, had.rank) == (segment, rank) and had.first <= first and last <= had.last:
                size = had.last - had.first
                if size <= max(_FULL, 2 * _CLOSER * span):
                    return
        self.wanted = Fetch(segment, rank, first - span // 2, last + span // 2)

    def next(self) -> Fetch | None:
        """What is to be asked for now."""
        fetch, self.wanted = self.wanted, None
        if fetch is not None:
            self._fetched.append(fetch)
        return fetch

    def broken(self) -> None:
        """The connection is gone, and perhaps the newest answer with it."""
        del self._fetched[-1:]
