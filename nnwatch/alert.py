"""Runs the user's commands (``--on SEVERITY COMMAND``) when a finding opens or worsens to that severity."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from .frame import SEVERITIES, Finding, Frame
from .report import finding_json
from .runs import Card

_SECONDS = 30.0
"""A command that takes longer is killed with its whole process group."""
_AT_ONCE = 4
_WAITING = 100


class _Running(NamedTuple):
    process: subprocess.Popen[bytes]
    command: str
    deadline: float


class Alerts:
    """``notice`` is told once of each command that fails; the run is never held up by one."""

    def __init__(self, wanted: list[list[str]], card: Card, notice: Callable[[str], None]) -> None:
        self._wanted = [(SEVERITIES.index(severity), command) for severity, command in wanted]
        self._card = card
        self._notice = notice
        self._worst: dict[int, int] = {}
        self._rules: dict[int, str] = {}
        self._queue: deque[tuple[str, bytes]] = deque(maxlen=_WAITING)
        self._running: list[_Running] = []

    def see(self, frame: Frame, *, again: bool = False) -> None:
        """Look at a frame; with ``again`` it was acted on before, by an earlier monitor."""
        if not self._wanted or not isinstance(frame, Finding):
            return
        self._rules[frame.id] = frame.rule
        level = SEVERITIES.index(frame.severity) if frame.status == "open" else -1
        before, self._worst[frame.id] = self._worst.get(frame.id, -1), level
        if again:
            return
        for threshold, command in self._wanted:
            if level >= threshold and level > before:
                about = {"host": self._card.host, "run": self._card.name, "attach": self._card.attach}
                self._queue.append((command, json.dumps(about | finding_json(frame, self._rules)).encode()))
        self.reap()

    def reap(self) -> None:
        """Take note of commands that ended, end those that take too long, start those that wait."""
        still = []
        for running in self._running:
            status = running.process.poll()
            if status is None and time.monotonic() < running.deadline:
                still.append(running)
                continue
            if status is None:
                with contextlib.suppress(OSError):
                    os.killpg(running.process.pid, signal.SIGKILL)
                running.process.wait()
                self._notice(f"--on command {running.command!r} took more than {_SECONDS:g} s and was killed")
            elif status:
                self._notice(f"--on command {running.command!r} failed with status {status}")
        self._running = still
        while self._queue and len(self._running) < _AT_ONCE:
            self._start(*self._queue.popleft())

    def _start(self, command: str, data: bytes) -> None:
        with tempfile.TemporaryFile() as file:  # a pipe could block on a command that does not read
            file.write(data)
            file.seek(0)
            try:
                process = subprocess.Popen(
                    ["/bin/sh", "-c", command],
                    stdin=file,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd=self._card.cwd if os.path.isdir(self._card.cwd) else None,
                    start_new_session=True,
                )
            except OSError as error:
                self._notice(f"--on command {command!r} cannot be started: {error.strerror}")
                return
        self._running.append(_Running(process, command, time.monotonic() + _SECONDS))

    def finish(self, seconds: float = 10.0) -> None:
        """Let what was begun come to its end, for a while."""
        deadline = time.monotonic() + seconds
        while (self._running or self._queue) and time.monotonic() < deadline:
            self.reap()
            time.sleep(0.02)
