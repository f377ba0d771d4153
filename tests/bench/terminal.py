"""A program on a pseudo terminal of 140x40: what it writes there, what it costs with all its children."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

import psutil

_PLAIN = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]")


class Terminal:
    """``began`` is when the program was started, on the monotonic clock."""

    def __init__(self, *command: str, **environment: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
        colours = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONUTF8": "1"}
        given = os.environ | colours | environment
        given.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has its bytecode
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=given, start_new_session=True
        )
        os.close(slave)

    def read(self, seconds: float, until: bytes | None = None) -> bytes:
        """What is written in so many seconds, or up to and with ``until``, a pattern."""
        out, deadline = b"", time.monotonic() + seconds
        while time.monotonic() < deadline:
            if select.select([self.master], [], [], 0.02)[0]:
                try:
                    out += os.read(self.master, 1 << 16)
                except OSError:
                    break
                self._answer(out)
            if until is not None and re.search(until, _PLAIN.sub(b"", out)):
                break
        return out

    def _answer(self, asked: bytes) -> None:
        """Where the cursor is and which colour lies behind: programs may wait to be told."""
        if asked.endswith(b"\x1b[6n"):
            os.write(self.master, b"\x1b[1;1R")
        if b"\x1b]11;?" in asked[-64:]:
            os.write(self.master, b"\x1b]11;rgb:0000/0000/0000\x1b\\")

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def _all(self) -> list[psutil.Process]:
        process = psutil.Process(self.process.pid)
        return [process, *process.children(recursive=True)]

    def cpu(self) -> float:
        """CPU seconds that it has used."""
        return float(sum(sum(process.cpu_times()[:2]) for process in self._all()))

    def resident(self) -> float:
        """Resident memory in MB."""
        return float(sum(process.memory_info().rss for process in self._all())) / 1e6

    def rates(self, seconds: float) -> tuple[float, float]:
        """(share of a core, bytes a second) over the next so many seconds."""
        cpu, clock = self.cpu(), time.monotonic()
        written = len(self.read(seconds))
        wall = time.monotonic() - clock
        return (self.cpu() - cpu) / wall, written / wall

    def close(self) -> None:
        children = self._all()[1:]
        self.press(b"q")
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
        for child in children:
            if child.is_running():
                child.kill()
        os.close(self.master)
