"""How a job ended: the launcher tells, unless it was killed itself."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

from . import stopping
from .frame import End, Status
from .memory import Kills
from .process import Process


def ended(job: Path, trainer: Process, launcher: Process, kills: Kills) -> End | None:
    """None as long as it has not. ``kills`` are those of the trainer's memory cgroup."""
    gone = not trainer.alive and (not launcher.alive or not job.exists())
    try:
        how = json.loads((job / "exit.json").read_text())
    except FileNotFoundError:
        if not gone:
            return None
        if launcher == trainer:  # nnwatch.watch(): it did not come to say how it ended
            why = kills.cause(signal.SIGKILL)
            return End(time.time(), "killed", None, signal.SIGKILL, f"it ended without a word; {why}")
        why = "the launcher was killed" if job.exists() else "the job folder was removed"
        why = stopping.why(job) or f"{why}, nobody could say how the command ended"
        return End(time.time(), "lost", cause=why)
    status: Status = how.get("status") or ("killed" if how["signal"] else "failed" if how["exit"] else "finished")
    return End(how["time"], status, how["exit"], how["signal"], how.get("cause", ""))
