"""What the script printed, as lines the way a terminal shows them: a progress bar is one line that changes."""

from __future__ import annotations

from collections.abc import Iterable

from nnwatch.frame import Console
from nnwatch.printable import ESCAPES


class Transcript:
    """``unfinished`` is the line that has no end yet, empty where there is none."""

    def __init__(self) -> None:
        self._rest = ""

    @property
    def unfinished(self) -> str:
        return _line(self._rest)

    def take(self, texts: Iterable[str]) -> list[str]:
        """The lines that come to their end with these texts. What follows a carriage return replaces its line."""
        *lines, self._rest = ESCAPES.sub("", self._rest + "".join(texts)).split("\n")
        return [_line(line) for line in lines]


def _line(text: str) -> str:
    return text.rstrip("\r").rpartition("\r")[2]


def printed(frames: Iterable[Console]) -> list[str]:
    """All lines, the unfinished one too."""
    transcript = Transcript()
    lines = transcript.take(frame.text for frame in frames)
    return [*lines, transcript.unfinished] if transcript.unfinished else lines
