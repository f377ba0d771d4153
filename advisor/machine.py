"""What lies beside a track, as it stood at a boundary: samples of the machine, and the other ranks of the job.

Both are cut off by time, not by step: the machine knows no segments, and a rank may be a step ahead. All rings of
a node are read in one pass, and what other nodes recorded comes within two flushes, so what is a little older than the
boundary has come when it is judged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nnwatch.series import Series

from .context import Context
from .finding import Abstain
from .window import View

MARGIN = 1.0
"""Seconds that another rank's ring may be read before this one's."""
AWAY = 4.0
"""The same where it is on another node."""


def now(at: Context) -> float:
    """Time of the newest record up to the boundary, seconds since 1970; infinite at the end of the run."""
    if at.end is not None:
        return math.inf
    series = at.track.get("loss.train") or at.track.get("lr")
    n = series.until(at.step) if series is not None else 0
    return float(series.times[n - 1]) if series is not None and n else at.track.segment.time


def _between(series: Series, first: float, last: float) -> View:
    a, b = np.searchsorted(series.times, [first, last], side="right")
    return View(series, series.steps[a:b], series.values[a:b])


def samples(at: Context, metric: str, since: float = 0.0) -> View:
    """Samples of the machine (about one a second) since the segment began, or later (``since``, seconds since 1970).
    Raises Abstain when there are none."""
    series = at.history.system.get(metric)
    view = _between(series, max(since, at.track.segment.time), now(at)) if series is not None else None
    if view is None or not len(view.steps):
        raise Abstain(f"{metric} is not measured on this machine (yet)")
    return view


def ranks(at: Context, metric: str) -> dict[int, View]:
    """Records of every rank of the segment by rank, this one included; ranks without any are left out."""
    found = {}
    for (segment, rank), track in sorted(at.history.tracks.items()):
        series = track.get(metric)
        if segment == at.track.segment.segment and series is not None:
            margin = AWAY if track.segment.node else MARGIN
            view = at.view(metric) if track is at.track else _between(series, -math.inf, now(at) - margin)
            if len(view.steps):
                found[rank] = view
    return found


def named(at: Context, rank: int) -> str:
    """A rank of the segment in words, with the node that it runs on where that is another one."""
    track = at.history.tracks.get((at.track.segment.segment, rank))
    return f"rank {rank} on {track.segment.host}" if track is not None and track.segment.host else f"rank {rank}"


def listed(at: Context, of: Sequence[int]) -> str:
    """Several ranks in words, the first four by number."""
    if len(of) == 1:
        return named(at, of[0])
    more = f" and {len(of) - 4} more" if len(of) > 4 else ""
    return f"ranks {', '.join(map(str, of[:4]))}{more}"
