"""Every node of a job in a row: how busy its machine is, and with what."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nnwatch.history import Track

from ..draw.grid import Grid, Ink
from ..draw.text import duration, size
from ..view import View
from .listed import Listed

MOST = 8
"""Rows; of more nodes those furthest from the others come first."""
_SILENT = 10.0
"""Seconds without a sample after which that is shown."""
_HOST, _CPU = 6, 22
_COLUMNS = (
    (0, 4, "node"), (_HOST, 15, "host"), (_CPU, 6, "CPU"), (31, 8, "this run"), (41, 15, "memory"),
    (58, 8, "GPU busy"), (70, 9, "disk free"),
)  # fmt: skip
"""Where each begins, how wide it is, and its heading; those for which there is no room are left out."""


class Node(NamedTuple):
    """The newest sample of a node's machine, taken at ``time``; NaN: not known. ``gpu`` is the mean of its devices."""

    number: int
    host: str
    time: float
    cpu: float
    run: float
    memory: float
    whole: float
    gpu: float
    disk: float


def _node(number: int, host: str, track: Track, until: float) -> Node:
    def newest(metric: str) -> float:
        series = track.get(metric)
        n = int(np.searchsorted(series.times, until, side="right")) if series is not None else 0
        values = series.values[n - 1] if series is not None and n else np.empty(0)
        good = values[np.isfinite(values)]
        return float(good.mean()) if len(good) else float("nan")

    times = next(iter(track.values())).times if track else np.empty(0)
    n = int(np.searchsorted(times, until, side="right"))
    metrics = ("host.cpu.percent", "cpu.percent", "host.memory.used", "host.memory.total", "gpu.percent", "disk.free")
    return Node(number, host, float(times[n - 1]) if n else float("-inf"), *(newest(metric) for metric in metrics))


def oddest(found: list[Node], heard: float) -> list[Node]:
    """Those that say nothing while another was ``heard`` first, then by how far their work is from the usual one."""
    usual = float(np.median([np.nan_to_num(one.run) for one in found]))
    return sorted(found, key=lambda one: (heard - one.time < _SILENT, -abs(np.nan_to_num(one.run) - usual)))


class Nodes(Listed):
    """Nothing for a run on one machine."""

    DEFAULT_CSS = "Nodes { height: 0; margin-bottom: 1; }"

    def rows(self, view: View) -> int:
        """Rows that it needs: a heading, the nodes, a line about those out of sight."""
        there = len(view.nodes)
        return 0 if there < 2 else 1 + min(there, MOST) + (there > MOST)

    def metrics(self, view: View) -> list[str | None]:
        return [None, *("host.cpu.percent" for _ in range(min(len(view.nodes), MOST)))]

    def key(self, view: View) -> Any:
        return (view.history.version, view.until, self.at) if len(view.nodes) > 1 else ()

    def draw(self, view: View, grid: Grid) -> None:
        machines, until = view.history.machines, float("inf") if view.until is None else view.time
        found = [_node(number, host, machines[number], until) for number, host in view.nodes.items()]
        heard = max(one.time for one in found)
        if len(found) > MOST:
            found = oddest(found, heard)
            grid.put(0, MOST + 1, f"{len(found) - MOST} more, nearer to what most do", Ink.DIM)
        columns = [(x, width, word) for x, width, word in _COLUMNS if x + width <= grid.width]
        for x, _, word in columns:
            grid.put(x, 0, word, Ink.TITLE)
        for y, one in enumerate(found[:MOST], 1):
            silent = heard - one.time > _SILENT
            cells = (str(one.number), one.host, *(() if silent else _cells(one)))
            for (x, width, _), text in zip(columns, cells, strict=False):
                grid.put(x, y, text[:width], Ink.TEXT)
            if silent:
                said = f"silent for {duration(heard - one.time)}" if np.isfinite(one.time) else "no sample yet"
                grid.put(_CPU, y, said, Ink.WARN)
        self.choose(view, grid, _HOST - 1)


def _cells(one: Node) -> tuple[str, ...]:
    """What its machine does, as it stands in the row."""
    share = one.memory / one.whole if one.whole else float("nan")
    memory = f"{size(one.memory)} ({share:.0%})" if np.isfinite(share) else "–"
    disk = size(one.disk) if np.isfinite(one.disk) else "–"
    return _percent(one.cpu), _percent(one.run), memory, _percent(one.gpu), disk


def _percent(value: float) -> str:
    return f"{value:.0f} %" if np.isfinite(value) else "–"
