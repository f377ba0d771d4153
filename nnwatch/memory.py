"""Whether the kernel killed a process for want of memory, as its memory cgroup counts. Standard library only.

SIGKILL looks the same whoever sent it: the kernel at the limit of a container, a Slurm step or the whole machine, or
somebody's `kill -9`. The cgroup's counter tells them apart (cgroup v2 ``memory.events``, v1 ``memory.oom_control``).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

_ROOT = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60
"""cgroup v1 has no word for no limit, only a very large number."""


class _Counter(NamedTuple):
    events: Path
    limit: Path


class Kills:
    """Kills for want of memory in the cgroup of ``pid`` since this was made."""

    def __init__(self, pid: int, root: Path = _ROOT) -> None:
        self._counter = _counter(pid, root)
        self._before = self._count()

    def _count(self) -> int | None:
        if self._counter is None:
            return None
        try:
            words = self._counter.events.read_text().split()
            return int(words[words.index("oom_kill") + 1])
        except (OSError, ValueError):
            return None

    @property
    def number(self) -> int | None:
        """None where the kernel does not tell."""
        now = self._count()
        return None if now is None or self._before is None else now - self._before

    def cause(self, signal: int | None) -> str:
        """In words, for a process that ended by ``signal`` (None: with an exit code); "" if there is nothing to add."""
        number = self.number
        if number:
            if signal == 9:
                return f"out of memory: the kernel killed it{self._limit()}"
            return f"out of memory: the kernel killed a process of its memory cgroup{self._limit()}"
        if signal != 9:
            return ""
        if number is None:
            return "killed, cause unknown"
        return "killed by another process: its memory cgroup counts no kill for want of memory"  # rule crashed reads it

    def _limit(self) -> str:
        assert self._counter is not None
        try:
            limit = int(self._counter.limit.read_text())
        except (OSError, ValueError):  # "max": the machine's own memory
            return ""
        return f" at the limit of {limit / 2**30:.3g} GiB" if limit < _UNLIMITED else ""


def _counter(pid: int, root: Path) -> _Counter | None:
    """Where the kills and the limit of the process's memory cgroup are written; None if that cannot be told."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            bases, events, limit = [root, root / "unified"], "memory.events", "memory.max"
        elif "memory" in controllers.split(","):
            bases, events, limit = [root / "memory"], "memory.oom_control", "memory.limit_in_bytes"
        else:
            continue
        inside = [base / path.lstrip("/") for base in bases]
        for folder in (*inside, *bases):  # in a container the path may be the host's, and the base the cgroup itself
            if (folder / events).exists():
                return _Counter(folder / events, folder / limit)
    return None
