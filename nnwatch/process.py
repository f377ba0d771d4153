"""Processes by id and start time, and where their ids mean something. Standard library only, the launcher needs it."""

from __future__ import annotations

import functools
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def start_ticks(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot; None if it is gone or only waits to be reaped."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else int(fields[19])


@dataclass(frozen=True)
class Process:
    """A process that cannot be mistaken for a later one with the same id."""

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> Process:
        return cls(pid, start_ticks(pid) or 0)

    @property
    def alive(self) -> bool:
        return start_ticks(self.pid) == self.start


@functools.cache
def here() -> dict[str, Any]:
    """Host name, boot id and pid namespace: where process ids mean something."""

    def read(action: Any) -> str:
        try:
            return str(action()).strip()
        except OSError:
            return ""

    return {
        "host": socket.gethostname(),
        "boot": read(lambda: Path("/proc/sys/kernel/random/boot_id").read_text()),
        "namespace": read(lambda: os.readlink("/proc/self/ns/pid")),
    }
