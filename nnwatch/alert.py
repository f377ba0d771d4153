"""Tells the user of findings where he is not looking: his own commands, and messages to a service.

``--on SEVERITY COMMAND`` starts a command each time a finding opens or worsens to that severity. ``--alert SEVERITY
ADDRESS`` sends a message: once for a finding and again only when it is worse than ever, consequences of another finding
left out, and at most one message a minute, which then tells of all that came meanwhile. The end of a run waits for the
commands, which are the user's, and not for messages, unless they would end with it (``outlived``).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from .card import Card
from .frame import SEVERITIES, Finding, Frame
from .narrate import remedy
from .notify import masked
from .process import Process
from .report import finding_json

_SECONDS = 30.0
"""A command that takes longer is killed with its whole process group."""
_AT_ONCE = 4
_WAITING = 100
_MESSAGE_EVERY = 60.0
_TOLD = 5
"""Findings of which one message tells; the others are counted."""


_BATCH = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID")


def outlived(launcher: Process) -> bool:
    """Whether anything can be sent after the run: batch systems, containers and services end all with the command."""
    if any(name in os.environ for name in _BATCH):
        return False
    try:
        parent = int(Path(f"/proc/{launcher.pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:  # the launcher is gone, and this process is not
        return True
    return 1 not in (launcher.pid, parent)


class _Start(NamedTuple):
    words: list[str]
    data: bytes
    cwd: str | None
    what: str
    """For the user."""
    message: bool


class _Running(NamedTuple):
    process: subprocess.Popen[bytes]
    start: _Start
    deadline: float


class _Target:
    """One address, and what it is to be told next."""

    def __init__(self, severity: str, address: str) -> None:
        self.threshold = SEVERITIES.index(severity)
        self.address = address
        self.news: dict[int, Finding] = {}
        self.sent = -_MESSAGE_EVERY


class Alerts:
    """``notice`` is told once of each command or address that fails; the run is never held up by one."""

    def __init__(
        self, wanted: list[list[str]], targets: list[list[str]], card: Card, notice: Callable[[str], None]
    ) -> None:
        self._wanted = [(SEVERITIES.index(severity), command) for severity, command in wanted]
        self._targets = [_Target(*target) for target in targets]
        self._card = card
        self._notice = notice
        self._level: dict[int, int] = {}
        self._worst: dict[int, int] = {}
        self._rules: dict[int, str] = {}
        self._queue: deque[_Start] = deque(maxlen=_WAITING)
        self._running: list[_Running] = []

    def see(self, frame: Frame, *, again: bool = False) -> None:
        """Look at a frame; with ``again`` it was acted on before, by an earlier monitor."""
        if not isinstance(frame, Finding):
            return
        self._rules[frame.id] = frame.rule
        level = SEVERITIES.index(frame.severity) if frame.status == "open" else -1
        before, self._level[frame.id] = self._level.get(frame.id, -1), level
        worst = self._worst.get(frame.id, -1)
        self._worst[frame.id] = max(worst, level)
        if again:
            return
        for threshold, command in self._wanted:
            if level >= threshold and level > before:
                about = {"host": self._card.host, "run": self._card.name, "attach": self._card.attach}
                data = json.dumps(about | finding_json(frame, self._rules)).encode()
                cwd = self._card.cwd if os.path.isdir(self._card.cwd) else None
                words = ["/bin/sh", "-c", command]
                self._queue.append(_Start(words, data, cwd, f"--on command {command!r}", message=False))
        for target in self._targets:
            if level >= target.threshold and level > worst and frame.explained_by is None:
                target.news[frame.id] = frame
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
                self._notice(f"{running.start.what} took more than {_SECONDS:g} s and was killed")
            elif status:
                self._notice(f"{running.start.what} failed with status {status}")
        self._running = still
        for target in self._targets:
            if target.news and time.monotonic() - target.sent >= _MESSAGE_EVERY:
                self._send(target)
        while self._queue and len(self._running) < _AT_ONCE:
            self._start(self._queue.popleft())

    def _send(self, target: _Target) -> None:
        news = sorted(target.news.values(), key=lambda finding: -SEVERITIES.index(finding.severity))
        message = _message(news, self._card) | {"to": target.address}
        target.news, target.sent = {}, time.monotonic()
        words = [sys.executable, "-m", "nnwatch.notify"]
        what = f"--alert {masked(target.address)}"
        self._queue.append(_Start(words, json.dumps(message).encode(), None, what, message=True))

    def _start(self, start: _Start) -> None:
        with tempfile.TemporaryFile() as file:  # a pipe could block on a command that does not read
            file.write(start.data)
            file.seek(0)
            try:
                process = subprocess.Popen(
                    start.words,
                    stdin=file,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd=start.cwd,
                    start_new_session=True,
                )
            except OSError as error:
                self._notice(f"{start.what} cannot be started: {error.strerror}")
                return
        self._running.append(_Running(process, start, time.monotonic() + _SECONDS))

    @property
    def busy(self) -> bool:
        """Whether anything that was begun has not come to its end."""
        return bool(self._running or self._queue)

    def finish(self, seconds: float = 10.0) -> None:
        """Begin to send what waits, and let the user's commands come to their end, for a while."""
        for target in self._targets:
            if target.news:
                self._send(target)
        deadline = time.monotonic() + seconds
        while self._commands and time.monotonic() < deadline:
            self.reap()
            time.sleep(0.02)

    @property
    def _commands(self) -> bool:
        return not all(start.message for start in (*self._queue, *(running.start for running in self._running)))


def _message(news: list[Finding], card: Card) -> dict[str, str]:
    """Severity, title and body of a message; the worst finding comes first."""
    worst = news[0]
    lines = []
    for finding in news[:_TOLD]:
        lines.append(f"{finding.severity.upper()} {finding.rule}: {finding.title}: {finding.what}")
        lines += [f"because {finding.why}"] * bool(finding.why)
        lines += [f"do: {remedy(advice)}" for advice in finding.remedies[:1]] + [""]
    if len(news) > _TOLD:
        lines += [f"and {len(news) - _TOLD} more findings", ""]
    name = card.attach.removeprefix("nnwatch attach ")
    lines += [f"look at it on {card.host}: {card.attach}", f"from elsewhere: nnwatch attach ssh://{card.host}/{name}"]
    title = f"{worst.severity.upper()} {worst.rule}: {card.name} on {card.host}, step {worst.last_step:,}"
    return {"severity": worst.severity, "title": title, "body": "\n".join(lines)}
