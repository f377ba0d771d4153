"""What the monitor has to say to the user: a pipe to the launcher, which has the terminal."""

from __future__ import annotations

import contextlib
import os


class Voice:
    """``quiet``: nobody wants to hear it."""

    def __init__(self, pipe: int, *, quiet: bool) -> None:
        self._pipe = pipe
        self._quiet = quiet

    def say(self, text: str) -> None:
        """A line for the user. Lost if the launcher is gone or its pipe is full: nothing waits for it."""
        if self._quiet:
            return
        lead = "         " if text.startswith(" ") else "nnwatch: "
        with contextlib.suppress(OSError):
            os.write(self._pipe, f"{lead}{text}\n".encode("utf-8", "replace"))

    def close(self) -> None:
        """Nothing more is to be said: the launcher need not wait."""
        with contextlib.suppress(OSError):
            os.close(self._pipe)
