"""Commands as the foreground job of a terminal of their own."""

import os
import pty
import select
import time

from .doors import PATIENCE


def in_a_terminal(home, *words):
    """Start a command as the foreground job of a terminal of its own; returns its pid and our end."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(home.folder)
        os.execvpe(words[0], words, home.env)
    return pid, terminal


def read_until(terminal, what):
    """What is written on it until WHAT is there or the terminal is closed."""
    text, deadline = b"", time.monotonic() + PATIENCE
    ready = select.poll()
    ready.register(terminal, select.POLLIN)
    while what not in text:
        assert ready.poll(max(0.0, deadline - time.monotonic()) * 1000), text
        try:
            text += os.read(terminal, 4096)
        except OSError:
            break
    return text
