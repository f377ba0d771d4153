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
_HOST, _CPU, _RUN, _MEMORY, _GPU, _DISK = 6, 22, 31, 41, 58, 70
_COLUMNS = (
    (0, "node"), (_HOST, "host"), (_CPU, "CPU"), (_RUN, "this run"), (_MEMORY, "memory"), (_GPU, "GPU busy"),
    (_DISK, "disk free"),
)  # fmt: skip


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
        for x, word in _COLUMNS:
            grid.put(x, 0, word, Ink.TITLE)
        for y, one in enumerate(found[:MOST], 1):
            grid.put(0, y, str(one.number), Ink.TEXT)
            grid.put(_HOST, y, one.host[: _CPU - _HOST - 1], Ink.TEXT)
            if heard - one.time > _SILENT:
                silent = f"silent for {duration(heard - one.time)}" if np.isfinite(one.time) else "no sample yet"
                grid.put(_CPU, y, silent, Ink.WARN)
                continue
            share = one.memory / one.whole if one.whole else float("nan")
            grid.put(_CPU, y, _percent(one.cpu), Ink.TEXT)
            grid.put(_RUN, y, _percent(one.run), Ink.TEXT)
            grid.put(_MEMORY, y, f"{size(one.memory)} ({share:.0%})" if np.isfinite(share) else "–", Ink.TEXT)
            grid.put(_GPU, y, _percent(one.gpu), Ink.TEXT)
            grid.put(_DISK, y, size(one.disk) if np.isfinite(one.disk) else "–", Ink.DIM)
        self.choose(view, grid, _HOST - 1)


def _percent(value: float) -> str:
    return f"{value:.0f} %" if np.isfinite(value) else "–"
