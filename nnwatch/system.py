"""The machine and the trainer's process tree, about once a second: psutil, and NVML where a driver answers.

What cannot be had is absent, with the reason in the facts; it is never 0.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
import pynvml

from .frame import Block, Event, FieldSpec, Frame
from .ingest import Ids
from .runs import Process

_TREE_EVERY = 5
"""Samples between two looks for new child processes: that reads every process of the machine."""
_GPU_FIELDS = ("gpu.percent", "gpu.memory.used", "gpu.memory.total", "gpu.power", "gpu.temperature")
_HOST_FIELDS = ("cpu.percent", "memory.rss", "host.cpu.percent", "host.memory.used", "host.memory.total", "disk.free")


class System:
    """Samples of one job. ``disk`` is a folder on the file system that holds the session."""

    def __init__(self, trainer: Process, disk: str, ids: Ids) -> None:
        self._trainer = trainer
        self._disk = disk
        self._ids = ids
        self._tree: dict[int, psutil.Process] = {}
        self._count = 0
        self._gpus, self._gpu_fact = _gpus()
        psutil.cpu_percent()  # the first answer is always 0: it begins the interval

    def introduce(self, time: float) -> list[Frame]:
        """What precedes the samples: their schema, and what is known of the GPUs."""
        frames: list[Frame | None] = []
        devices = 0
        if self._gpus:
            devices, labels = self._ids.labels([name for name, _ in self._gpus], [])
            frames.append(labels)
        fields = [FieldSpec(name) for name in _HOST_FIELDS]
        fields += [FieldSpec(name, len(self._gpus), devices) for name in _GPU_FIELDS if self._gpus]
        self._schema, schema = self._ids.schema("system", fields)
        frames += [schema, Event("facts", time, data={"gpu": self._gpu_fact})]
        return [frame for frame in frames if frame is not None]

    def sample(self, time: float, step: int) -> Block:
        """One record of the schema ``system``, at the last known step."""
        values = np.array([*self._host(), *_read(self._gpus)], np.float32)
        return Block(self._schema, 0, 0, 1, np.int64(step).tobytes(), np.float64(time).tobytes(), values.tobytes())

    def _host(self) -> list[float]:
        cpu, memory = self._tree_sums()
        host = psutil.virtual_memory()
        try:
            found = os.statvfs(self._disk)
            free = float(found.f_bavail * found.f_frsize)
        except OSError:
            free = float("nan")
        return [cpu, memory, psutil.cpu_percent(), float(host.total - host.available), float(host.total), free]

    def _tree_sums(self) -> tuple[float, float]:
        """CPU in percent of a core and resident bytes of the trainer and all below it; NaN once it is gone."""
        if self._count % _TREE_EVERY == 0 and self._trainer.alive:
            with contextlib.suppress(psutil.Error):
                root = self._tree.get(self._trainer.pid) or psutil.Process(self._trainer.pid)
                self._tree = {p.pid: self._tree.get(p.pid, p) for p in (root, *root.children(recursive=True))}
        self._count += 1
        cpu = memory = 0.0
        for pid, process in list(self._tree.items()):
            try:
                with process.oneshot():
                    resident = process.memory_info().rss
                    if not resident:  # it has ended and its parent has not looked yet
                        raise psutil.ZombieProcess(pid)
                    cpu += process.cpu_percent()
                    memory += resident
            except psutil.Error:
                del self._tree[pid]
        return (cpu, memory) if self._tree else (float("nan"), float("nan"))


def _gpus() -> tuple[list[tuple[str, Any]], str | list[str]]:
    """Name and handle of each GPU, and the fact to state: their names, or why there are none."""
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        found = [(f"{pynvml.nvmlDeviceGetName(handle)} #{i}", handle) for i, handle in enumerate(handles)]
    except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded):
        return [], "no NVIDIA driver"
    except pynvml.NVMLError as error:
        return [], f"NVIDIA driver: {error}"
    return found, [name for name, _ in found] or "no NVIDIA GPU"


def _read(gpus: list[tuple[str, Any]]) -> list[float]:
    """Metric by metric, one value per GPU; NaN where a device does not tell."""
    reads: tuple[Callable[[Any], float], ...] = (
        lambda h: pynvml.nvmlDeviceGetUtilizationRates(h).gpu,
        lambda h: pynvml.nvmlDeviceGetMemoryInfo(h).used,
        lambda h: pynvml.nvmlDeviceGetMemoryInfo(h).total,
        lambda h: pynvml.nvmlDeviceGetPowerUsage(h) / 1000,  # milliwatts
        lambda h: pynvml.nvmlDeviceGetTemperature(h, pynvml.NVML_TEMPERATURE_GPU),
    )
    values = []
    for read in reads:
        for _, handle in gpus:
            try:
                values.append(float(read(handle)))
            except pynvml.NVMLError:
                values.append(float("nan"))
    return values
