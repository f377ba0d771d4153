"""A training on the short way or on the long one, and what was recorded of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nnwatch.probes import fastest, stages
from nnwatch.probes.hooks import Patches
from nnwatch.probes.lane import Lane
from nnwatch.probes.standby import Standby

from .harness import Recorded, read
from .loops import Training, over_a_loader

STEPS = 30
ODD = (9, 17, 18, 25)
"""Steps at which a loop does something out of the ordinary, in the lane but for it."""
CLOCKS = {"step.seconds", "data.wait", "watch.cost", "step.idle", "memory.heap", "tensors.alive", "tensors.graph"}


KINDS: dict[str, Any] = {"python": Lane, "c": fastest.Fastest} if fastest.Fastest is not Lane else {"python": Lane}


class LongWay(Lane):
    def open(self, *_):
        pass


def trained(folder: Path, loop) -> tuple[list, list, int]:
    """Records without clocks, events but facts, and steps begun in the lane, of one training."""
    opened = []
    folder.mkdir()
    watching = Standby({"rings": [str(folder)], "ring_bytes": 1 << 20, "budget": 0.01})
    patches = Patches(watching)
    try:
        t = Training()
        if loop is over_a_loader:
            loop(t)
        else:
            for number in range(STEPS):
                loop(t, number in ODD)
                opened.append(watching.lane.stage == stages.LOSS)
                assert not watching.probes.off
                assert not watching.probes._failures
    finally:
        patches.remove()
    (path,) = folder.iterdir()
    recorded = Recorded(0, "", "", folder)
    read(recorded, path)
    values = [
        (metric, step, [float(v) for v in value])
        for metric, series in recorded.series.items()
        if metric not in CLOCKS
        for step, _, value in series
    ]
    events = [(e["name"], e["step"], e["data"]) for e in recorded.events]
    return values, events, sum(opened)
