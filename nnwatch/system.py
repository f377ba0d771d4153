"""The machine and the trainer's process tree, about once a second: psutil, and the GPUs of ``gpu.py``.

What cannot be had is absent, with the reason in the facts; it is never 0.
"""

from __future__ import annotations

import contextlib
import os

import numpy as np
import psutil

from . import gpu
from .frame import Block, Event, FieldSpec, Frame
from .ingest import Ids
from .process import Process

_TREE_EVERY = 5
"""Samples between two looks for new child processes: that reads every process of the machine."""
_HOST_FIELDS = (
    *("cpu.percent", "memory.rss", "disk.read", "disk.write"),
    *("host.cpu.percent", "host.memory.used", "host.memory.total", "net.received", "net.sent", "disk.free"),
)
_NONE = float("nan")


class System:
    """Samples of one job. ``disk`` is a folder on the file system that holds the session."""

    def __init__(self, trainer: Process, disk: str, ids: Ids) -> None:
        self._trainer = trainer
        self._disk = disk
        self._ids = ids
        self._tree: dict[int, psutil.Process] = {}
        self._count = 0
        self._gpus, self._gpu_fact = gpu.devices()
        self._moved: dict[int, tuple[int, int]] = {}
        """Bytes that each process has read and written so far."""
        self._network = _network()
        self._looked = _NONE
        psutil.cpu_percent()  # the first answer is always 0: it begins the interval

    def introduce(self, time: float) -> list[Frame]:
        """What precedes the samples: their schema, and what is known of the GPUs."""
        frames: list[Frame | None] = []
        devices = 0
        if self._gpus:
            devices, labels = self._ids.labels([name for name, _ in self._gpus], [])
            frames.append(labels)
        fields = [FieldSpec(name) for name in _HOST_FIELDS]
        fields += [FieldSpec(name, len(self._gpus), devices) for name in gpu.FIELDS if self._gpus]
        self._schema, schema = self._ids.schema("system", fields)
        frames += [schema, Event("facts", time, data={"gpu": self._gpu_fact})]
        return [frame for frame in frames if frame is not None]

    def sample(self, time: float, step: int, moment: float) -> Block:
        """One record of the schema ``system``, at the last known step. ``moment`` is on a clock that nobody sets."""
        since, self._looked = moment - self._looked, moment
        values = np.array([*self._tree_sums(since), *self._host(since), *gpu.read(self._gpus, set(self._tree))])
        numbers = values.astype(np.float32)
        return Block(self._schema, 0, 0, 1, np.int64(step).tobytes(), np.float64(time).tobytes(), numbers.tobytes())

    def _host(self, since: float) -> list[float]:
        host = psutil.virtual_memory()
        try:
            found = os.statvfs(self._disk)
            free = float(found.f_bavail * found.f_frsize)
        except OSError:
            free = _NONE
        network, self._network = self._network, _network()
        received, sent = ((now - before) / since for now, before in zip(self._network, network, strict=True))
        return [psutil.cpu_percent(), float(host.total - host.available), float(host.total), received, sent, free]

    def _tree_sums(self, since: float) -> list[float]:
        """CPU in percent of a core, resident bytes, bytes a second read from and written to disks, of the trainer and
        all below it; NaN once it is gone, and for what cannot be read."""
        if self._count % _TREE_EVERY == 0 and self._trainer.alive:
            with contextlib.suppress(psutil.Error):
                root = self._tree.get(self._trainer.pid) or psutil.Process(self._trainer.pid)
                self._tree = {p.pid: self._tree.get(p.pid, p) for p in (root, *root.children(recursive=True))}
        self._count += 1
        cpu = memory = 0.0
        moved: dict[int, tuple[int, int]] = {}
        for pid, process in list(self._tree.items()):
            try:
                with process.oneshot():
                    resident = process.memory_info().rss
                    if not resident:  # it has ended and its parent has not looked yet
                        raise psutil.ZombieProcess(pid)
                    cpu += process.cpu_percent()
                    memory += resident
                    with contextlib.suppress(psutil.AccessDenied, AttributeError):  # no such thing on macOS
                        counted = process.io_counters()
                        moved[pid] = counted.read_bytes, counted.write_bytes
            except psutil.Error:
                del self._tree[pid]
        before, self._moved = self._moved, moved
        if not self._tree:
            return [_NONE] * 4
        known = [(now, before[pid]) for pid, now in moved.items() if pid in before]
        rates = [sum(now[i] - then[i] for now, then in known) / since if known else _NONE for i in range(2)]
        return [cpu, memory, *rates]


def _network() -> tuple[float, float]:
    """Bytes that the machine has received and sent so far, loopback not counted; NaN where it is not told."""
    try:
        cards = [counted for name, counted in psutil.net_io_counters(pernic=True).items() if name != "lo"]
    except (OSError, RuntimeError):
        return _NONE, _NONE
    return float(sum(card.bytes_recv for card in cards)), float(sum(card.bytes_sent for card in cards))
