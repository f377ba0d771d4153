"""The machine in rows: the run's processes, the host, every GPU. What is absent says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..draw.grid import Grid, Ink
from ..draw.sparkline import sparkline
from ..draw.text import size
from ..view import View
from .listed import Listed
from .rows import TITLE, draw_row, spark_width


def _percent(value: float) -> str:
    return f"{value:.0f} %"


def _watt(value: float) -> str:
    return f"{value:.0f} W"


def _degrees(value: float) -> str:
    return f"{value:.0f} °C"


def _rate(value: float) -> str:
    return f"{size(value)}/s"


def _megahertz(value: float) -> str:
    return f"{value:.0f} MHz"


def _slowed(value: float) -> str:
    return "slowed by heat or power" if value else "full clock"


class Gauge(NamedTuple):
    """A metric of the machine; ``whole`` is the metric that it is a part of, or a number."""

    metric: str
    title: str
    format: Callable[[float], str]
    whole: str | float | None = None


_RUN = [Gauge("cpu.percent", "CPU", _percent), Gauge("memory.rss", "memory", size, "host.memory.total")]
_RUN += [Gauge("disk.read", "disk read", _rate), Gauge("disk.write", "disk write", _rate)]
_HOST = [
    Gauge("host.cpu.percent", "CPU", _percent, 100.0),
    Gauge("host.memory.used", "memory", size, "host.memory.total"),
    Gauge("net.received", "network in", _rate),
    Gauge("net.sent", "network out", _rate),
    Gauge("disk.free", "disk free", size),
]
_GPU = [
    Gauge("gpu.percent", "busy", _percent, 100.0),
    Gauge("gpu.memory.used", "memory", size, "gpu.memory.total"),
    Gauge("gpu.memory.mine", "of this run", size, "gpu.memory.total"),
    Gauge("gpu.clock", "clock", _megahertz),
    Gauge("gpu.throttle", "throttle", _slowed),
    Gauge("gpu.power", "power", _watt),
    Gauge("gpu.temperature", "temperature", _degrees),
]


def over_samples(values: Any, cells: int) -> Any:
    """Largest value of ``cells`` equal stretches of the samples (n,)."""
    n = len(values)
    if n <= cells:
        return values
    return np.fmax.reduceat(values, np.arange(cells) * n // cells)


def _measured(view: View, gauge: Gauge) -> bool:
    """Whether a gauge has had a value by the moment."""
    found = view.machine(gauge.metric)
    return found is not None and bool(np.isfinite(found[0].values[: found[1]]).any())


class Gauges(Listed):
    """Height follows the number of rows: one heading and some gauges for the run, the host and each GPU."""

    DEFAULT_CSS = "Gauges { height: 10; }"

    def key(self, view: View) -> Any:
        found = view.machine("cpu.percent")
        return found[1] if found else None, view.until, view.facts.get("gpu"), view.state.kind

    def lines(self, view: View) -> list[tuple[str, Gauge | None, int]]:
        """(heading or remark, gauge, device)"""
        if view.machine("cpu.percent") is None:
            ended = view.state.kind not in ("opening", "waiting", "running", "stalled")
            why = f"in this {view.log} log" if view.log else "was taken" if ended else "yet (one a second)"
            return [(f"no sample of the machine {why}", None, 0)]
        found: list[tuple[str, Gauge | None, int]] = [("this run (100 % is one core)", None, 0)]
        found += [("", gauge, 0) for gauge in _RUN if _measured(view, gauge)]
        if len(found) == 1:
            found = [("this run: its processes were not measured", None, 0)]
        found += [("this machine", None, 0), *(("", gauge, 0) for gauge in _HOST if view.machine(gauge.metric))]
        gpu = view.machine("gpu.percent")
        if gpu is None:
            reason = view.facts.get("gpu") or view.machine_facts.get("gpu") or "no GPU sample was taken"
            return [*found, (f"GPU: {reason}", None, 0)]
        names = gpu[0].names()
        for device in range(gpu[0].width):
            found.append((f"GPU {names[device]}", None, device))
            found += [("", gauge, device) for gauge in _GPU if view.machine(gauge.metric)]
        return found

    def metrics(self, view: View) -> list[str | None]:
        return [gauge.metric if gauge is not None else None for _, gauge, _ in self.lines(view)]

    def draw(self, view: View, grid: Grid) -> None:
        for y, (heading, gauge, device) in enumerate(self.lines(view)):
            if gauge is None:
                grid.put(0, y, heading, Ink.TITLE)
            else:
                self._row(view, grid, y, gauge, device)
        self.choose(view, grid, TITLE - 1)

    def _row(self, view: View, grid: Grid, y: int, gauge: Gauge, device: int) -> None:
        found = view.machine(gauge.metric)
        if found is None or device >= found[0].width:
            draw_row(grid, y, f"  {gauge.title}", "–", "")
            return
        series, n = found
        values = series.values[:n, device]
        newest = float(values[-1])
        whole = self._whole(view, gauge, device)
        top = whole or float(np.nanmax(values, initial=0)) or 1.0
        spark = sparkline(over_samples(values, spark_width(grid.width)) / top)
        if not np.isfinite(newest):  # its processes have ended
            draw_row(grid, y, f"  {gauge.title}", "–", spark, spark_ink=Ink.BAND)
            return
        note = f"{newest / whole:.0%} of {gauge.format(whole)}" if isinstance(gauge.whole, str) and whole else ""
        draw_row(grid, y, f"  {gauge.title}", gauge.format(newest), spark, note, spark_ink=Ink.BAND)

    def _whole(self, view: View, gauge: Gauge, device: int) -> float | None:
        if not isinstance(gauge.whole, str):
            return gauge.whole
        found = view.machine(gauge.whole)
        if found is None:
            return None
        series, n = found
        return float(series.values[n - 1, min(device, series.width - 1)])
