"""Notices that a training has fallen silent: no step, no validation batch, nothing printed.

Nothing is asked of the trainer: its rings and its output are quiet for much longer than ever before, and the kernel
says what its main thread waits in. A long evaluation that computes is silent too, so how busy the processes were is
told along; what it means is the advisor's affair.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .frame import Event
from .history import History

LEAST = 120.0
"""Seconds of silence before which nothing is said."""
STEPS = 50
"""So many usual steps fit into the silence."""
LONGER = 3
"""So many times the longest silence until now, which may have been an evaluation or a checkpoint."""
_NEWEST = 100
_STATES = {"T": "stopped by a signal", "t": "held by a debugger", "D": "waiting for a disk or a file server"}
_CALLS = {
    "futex": "waiting for another thread, a worker or a collective",
    "poll": "waiting for a pipe or a connection",
    "pipe": "waiting for a pipe",
    "wait": "waiting for a child process",
    "sleep": "sleeping",
    "recv": "waiting for a connection",
}


class Silence:
    """Of one process; all times are monotonic seconds unless they are called otherwise."""

    def __init__(self, pid: int, now: float) -> None:
        self._pid = pid
        self._heard = now
        self._longest = 0.0
        self._told = False

    def heard(self, now: float, stepping: bool) -> None:
        """Something came of the training; how long it takes to its first step (``stepping``) says nothing."""
        if stepping:
            self._longest = max(self._longest, now - self._heard)
        self._heard, self._told = now, False

    def look(self, now: float, time: float, history: History) -> Event | None:
        """An event when the silence begins to be too long, once each time. ``time`` is in seconds since 1970."""
        seconds, usual = now - self._heard, usual_step(history)
        track = history.main  # who is judged
        if self._told or track is None or usual is None or seconds < max(LEAST, STEPS * usual, LONGER * self._longest):
            return None
        self._told = True
        data: dict[str, object] = {"seconds": seconds, "usual": usual}
        if (where := waits(self._pid)) is not None:
            data["where"] = where
        if (busy := _busy(history, time - seconds)) is not None:
            data["cpu"] = busy
        return Event("stalled", time, track.last_step, track.segment.segment, track.segment.rank, data)


def usual_step(history: History) -> float | None:
    """Median seconds of the newest steps; None before there were any."""
    series = [track["step.seconds"] for track in history.tracks.values() if "step.seconds" in track]
    values = np.concatenate([one.scalar[-_NEWEST:] for one in series]) if series else np.empty(0)
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else None


def _busy(history: History, since: float) -> float | None:
    """Mean CPU of the trainer's processes, in percent of a core."""
    cpu = history.system.get("cpu.percent")
    values = cpu.scalar[cpu.times >= since] if cpu is not None else np.empty(0)
    values = values[np.isfinite(values)]
    return float(np.mean(values)) if len(values) else None


def waits(pid: int) -> str | None:
    """What the main thread of a process is doing, in words; None where the kernel does not tell."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        call = Path(f"/proc/{pid}/wchan").read_text()
    except (OSError, IndexError):
        return None
    if state == "R":
        return "computing"
    if state in _STATES:
        return _STATES[state]
    return next((said for word, said in _CALLS.items() if word in call), None)
