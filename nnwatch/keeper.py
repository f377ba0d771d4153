"""The monitor beside a command: started with it, again when it dies, and heard to its end. Standard library only."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from . import job as jobs

_LAST_WORDS = 15.0
"""Seconds the monitor has for its summary after the command has ended."""
_RESTARTS = 5


class Voice:
    """Standard error, written to only when that cannot block: nobody may be reading it, or it may be gone."""

    _MOST = 1 << 16

    def __init__(self) -> None:
        self._waiting = b""

    def say(self, text: bytes = b"") -> None:
        """Write what waits, and this."""
        self._waiting = (self._waiting + text)[-self._MOST :]
        try:
            while self._waiting and select.select([], [2], [], 0)[1]:
                self._waiting = self._waiting[os.write(2, self._waiting[: select.PIPE_BUF]) :]
        except OSError:
            self._waiting = b""


class Monitor:
    """The monitor process, started again when it dies: the same session goes on."""

    def __init__(self, job: Path, voice: Voice) -> None:
        self._job = job
        self._voice = voice
        self._restarts = 0
        self._started = self._not_before = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self.pipe = -1
        """Readable when the monitor has something to say; -1 when there is none."""
        self._start()

    def _start(self) -> None:
        self.pipe, ours = os.pipe()
        os.set_blocking(self.pipe, False)
        os.set_blocking(ours, False)
        self._started = time.monotonic()
        try:
            with (self._job / "monitor.log").open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "nnwatch.monitor", str(self._job), str(ours)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self._job,
                    env=jobs.monitor_environment(),
                    pass_fds=(ours,),
                    start_new_session=True,
                    preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, ()),
                )
        except OSError as error:
            self._voice.say(f"nnwatch: the monitor cannot be started: {error}; the command runs unwatched\n".encode())
            self._restarts = _RESTARTS + 1
            self._process = None
        finally:
            os.close(ours)

    def relay(self) -> bool:
        """Copy what the monitor said. False once it has nothing more to say."""
        if self.pipe < 0:
            return False
        try:
            while text := os.read(self.pipe, 1 << 16):
                self._voice.say(text)
        except BlockingIOError:
            self._voice.say()
            return True
        os.close(self.pipe)
        self.pipe = -1
        return False

    def keep(self) -> None:
        """Start it again if it died: soon at first, later and later, and not for ever."""
        if self.relay() or self._process is None or self._process.poll() in (None, 0):
            return
        now = time.monotonic()
        if self._not_before < self._started:
            self._restarts = 1 if now - self._started > 60 else self._restarts + 1
            self._not_before = now + 0.25 * 2**self._restarts
            if self._restarts > _RESTARTS:
                log = self._job / "monitor.log"
                text = f"nnwatch: the monitor failed {_RESTARTS} times, see {log}; the command runs on unwatched\n"
                self._voice.say(text.encode())
                self._process = None
        elif now >= self._not_before:
            self._start()

    def finish(self, interrupts: set[signal.Signals]) -> None:
        """Wait until it has written its summary, but not for ever, and no longer than the user cares to."""
        while signal.sigtimedwait(interrupts, 0) is not None:
            pass  # what ended the command has reached us as well
        deadline = time.monotonic() + _LAST_WORDS
        while self._process is not None and time.monotonic() < deadline:
            said_all = not self.relay()
            if said_all and self._process.poll() in (None, 0):
                break
            self.keep()
            sleep(0.02, self.pipe)
            if signal.sigtimedwait(interrupts, 0) is not None:
                break
        self._voice.say()


def sleep(seconds: float, *wake: int) -> None:
    """Until one of the files ``wake`` is readable (-1 stands for none), at most ``seconds``."""
    select.select([fd for fd in wake if fd >= 0], [], [], seconds)
