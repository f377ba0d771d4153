"""What a screen can do to the training that it shows: one signal, to the very process and to no later one of its id."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from .process import Process

KILLED = "killed"
"""File of the job folder: the user chose to kill the run."""
BY_HAND = "killed from the screen"
"""The cause of that end; rule crashed reads it."""
INTERRUPTED = "interrupted by Ctrl+C"
"""That of one which the command made of SIGINT itself (frameworks catch it and exit with 1); the rule reads it too."""


class Control:
    """Of the run of folder ``job``, whose ``trainer`` leads a process group of its own (``nnwatch run`` with a screen
    starts it so)."""

    def __init__(self, job: Path, trainer: Process) -> None:
        self._job = job
        self._trainer = trainer

    def interrupt(self) -> None:
        """What Ctrl+C would do, to the main process alone: it ends its workers itself."""
        self._send(signal.SIGINT)

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """At once, and all of its process group: nobody would end the workers."""
        if self._trainer.alive:
            with contextlib.suppress(OSError):
                (self._job / KILLED).touch()
                os.killpg(self._trainer.pid, signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        with contextlib.suppress(OSError):
            pidfd = os.pidfd_open(self._trainer.pid)
            try:
                if self._trainer.alive:
                    signal.pidfd_send_signal(pidfd, number)
            finally:
                os.close(pidfd)
