"""The launcher: parent of the user's command, and nothing the command could notice.

It passes signals on, keeps a monitor running beside the command, copies what the monitor has to say to standard
error, and ends as the command ended. Standard library only. Without a screen the command keeps its terminal and
process group, so what the terminal sends (Ctrl+C) reaches it without us; with one, launcher, command and
monitor have sessions of their own and outlive the terminal.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from . import job as jobs
from . import slurm, stopping
from .card import Card
from .control import BY_HAND, INTERRUPTED, KILLED
from .errors import RunError
from .folders import write_json
from .keeper import Monitor, Voice, sleep
from .memory import Kills
from .process import Process

_FORWARDED = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}
_SAME_SIGNAL = 0.1
"""Seconds within which one sender's second signal is the same one (it was sent to the process and to its group)."""
_TICK = 0.1
"""Seconds between two looks at pending signals."""
_PR_SET_PDEATHSIG = 1


def watch(job: Path, greeting: str = "", driver: list[str] | None = None) -> int:
    """Run the command of a prepared job to its end. Returns its exit code, or minus the signal it died of.

    ``greeting`` is a line for the user; ``driver`` is started in the place of the command, to run it itself. Raises
    RunError if it cannot be started. Signals that are not ignored stay blocked in this process.
    """
    card = Card.load(job / "job.json")
    kills = Kills(os.getpid())
    command = _Command(job, card if driver is None else replace(card, command=driver))
    card.launcher, card.trainer = Process.of(os.getpid()), Process.of(command.process.pid)
    card.save(job / "job.json")
    command.question.ask(stopping.START)
    voice = Voice()
    voice.say(greeting.encode())
    monitor = Monitor(job, voice)
    code = command.wait(monitor)
    if not code:  # a task that failed ends at once: others are waiting to be told
        slurm.wait_for_members(job, partial(_interrupted, monitor, command.signals))
    number = -code if code < 0 else None
    end = {"exit": code if code >= 0 else None, "signal": number, "time": time.time()}
    with contextlib.suppress(OSError):
        command.question.wait()
        asked = stopping.why(job)
        cause = BY_HAND if (job / KILLED).exists() else asked or kills.cause(number)
        if code > 0 and command.interrupted:
            cause = cause or INTERRUPTED
        write_json(job / "exit.json", end | {"cause": cause if code else asked})
    monitor.finish(command.signals)
    return code


def _interrupted(monitor: Monitor, signals: set[signal.Signals]) -> bool:
    monitor.keep()
    return signal.sigtimedwait(signals, 0) is not None


def take_part(job: Path, words: list[str]) -> int:
    """Run a command into a job that another process of this node leads; as ``watch`` otherwise."""
    card = replace(Card.load(job / "job.json"), command=words, headless=True)
    with slurm.member(job):
        return _Command(job, card).wait(None)


class _Command:
    """The user's command: started, sent the signals that come for it, waited for. Raises RunError."""

    def __init__(self, job: Path, card: Card) -> None:
        self.signals = {number for number in _FORWARDED if signal.getsignal(number) is not signal.SIG_IGN}
        self.question = stopping.Question(job)
        self.interrupted = False
        """SIGINT came for it."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self.signals)
        # A parent may have left SIGCHLD ignored; the kernel would then throw the exit status away.
        on_child = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            self.process = _start(job, card, before, on_child)
        except OSError as error:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            if card.trainer is None:  # the job's own command, not one more
                jobs.clear(job, jobs.options(job)["rings"])
            raise RunError(f"{card.command[0]}: cannot be started: {error.strerror}") from None

    def wait(self, monitor: Monitor | None) -> int:
        """To its end; ``monitor`` is kept running meanwhile. Its exit code, or minus the signal it died of."""
        trainer, pidfd = self.process, _pidfd(self.process.pid)
        last: dict[tuple[int, int], float] = {}
        while trainer.poll() is None:
            sleep(_TICK, pidfd, -1 if monitor is None else monitor.pipe)
            # Only ever asked with a timeout of 0: with another one, Python hands out an uninitialised siginfo when it
            # was stopped (Ctrl+Z) for longer than that.
            while (info := signal.sigtimedwait(self.signals, 0)) is not None:
                self.interrupted |= info.si_signo == signal.SIGINT
                # si_code > 0: the kernel sent it, for the terminal, to the whole process group; but that a terminal
                # is gone is told to the leader of its session alone.
                to_all = info.si_code > 0 and not (info.si_signo == signal.SIGHUP and os.getsid(0) == os.getpid())
                if to_all or info.si_pid == trainer.pid:
                    continue
                sender, now = (info.si_signo, info.si_pid), time.monotonic()
                if now - last.get(sender, -1.0) > _SAME_SIGNAL:
                    trainer.send_signal(info.si_signo)
                    if info.si_signo == signal.SIGTERM and monitor is not None:
                        self.question.ask(stopping.STOP)
                last[sender] = now
            if monitor is not None:
                monitor.keep()
        if pidfd >= 0:
            os.close(pidfd)
        code: int = trainer.returncode
        return code


def _pidfd(pid: int) -> int:
    """Readable when the process ends; -1 where the kernel has no such file."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1


def _start(job: Path, card: Card, mask: set[Any], on_child: Any) -> subprocess.Popen[bytes]:
    parent = os.getpid()
    libc = ctypes.CDLL(None)

    def become_the_command() -> None:
        signal.signal(signal.SIGCHLD, on_child or signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if card.headless:  # no orphan may hold a GPU when the launcher is killed
            libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
            if os.getppid() != parent:
                os._exit(1)

    with contextlib.ExitStack() as stack:
        streams: dict[str, Any] = {}
        if not card.headless:
            console = stack.enter_context((job / "console").open("ab"))
            streams = {"stdin": subprocess.DEVNULL, "stdout": console, "stderr": console, "start_new_session": True}
        return subprocess.Popen(
            card.command,
            cwd=card.cwd if not card.headless else None,
            env=jobs.environment(job, console=not card.headless),
            close_fds=False,  # what the shell left open for the command stays open
            preexec_fn=become_the_command,
            **streams,
        )


def die_like(code: int) -> int:
    """End this process by the signal that ``code`` (negative) names, without a core file of our own.

    Returns an exit code if ``code`` is none or the signal does not kill.
    """
    if code >= 0:
        return code
    number = -code
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with contextlib.suppress(OSError, ValueError):  # SIGKILL has no handler to reset
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    return 128 + number


def detach(job: Path) -> None:
    """Start a launcher for ``job`` that outlives this terminal."""
    with (job / "launch.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "nnwatch.launch", str(job)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=job,
            start_new_session=True,
        )


if __name__ == "__main__":
    try:
        watch(Path(sys.argv[1]))
    except RunError as error:
        sys.exit(f"nnwatch: {error}")
