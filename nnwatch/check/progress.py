"""What a person sees while a check runs: one line that is written over on a terminal, lines below each other
elsewhere."""

from __future__ import annotations

from typing import TextIO


class Progress:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._shown = False

    def show(self, text: str) -> None:
        """Where it stands."""
        if not self._terminal:
            self.say(text)
            return
        self._stream.write(f"\r\x1b[2Knnwatch: {text}")
        self._stream.flush()
        self._shown = True

    def say(self, text: str) -> None:
        """A line that stays."""
        self.clear()
        self._stream.write(f"nnwatch: {text}\n")
        self._stream.flush()

    def clear(self) -> None:
        if self._shown:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()
            self._shown = False
