"""Follows what the script prints, where a screen has taken its terminal.

Progress bars redraw a line with carriage returns, ten times a second and without an end of line. Only the last
state of a line is kept, and an unfinished line is shown at most once a second.
"""

from __future__ import annotations

from pathlib import Path

from .frame import Console

_MOST = 1 << 16
"""Bytes taken in one flush. A script that prints faster for long has the middle left out."""
_BEHIND = 1 << 20
_UNFINISHED_EVERY = 1.0
_LONGEST_LINE = 1 << 14


class Follower:
    """Reads the console file on from ``position``, the byte after the last finished line that was taken."""

    def __init__(self, path: Path, position: int = 0) -> None:
        self._path = path
        self.position = position
        self._shown = ""  # the unfinished line as it was last shown
        self._shown_at = 0.0

    def read(self, time: float, step: int, *, last: bool = False) -> list[Console]:
        """What was printed since; with ``last``, an unfinished line is final.

        A text that begins with a carriage return replaces the unfinished line before it.
        """
        try:
            with self._path.open("rb") as file:
                end = file.seek(0, 2)
                skipped = end - self.position - _MOST if end - self.position > _BEHIND else 0
                self.position += skipped
                file.seek(self.position)
                data = file.read(_MOST)
        except OSError:
            return []
        whole = data.rfind(b"\n") + 1
        if not whole and len(data) >= _LONGEST_LINE:
            whole = len(data)
        self.position += whole
        text = _collapse(data[:whole])
        rest = _collapse(data[whole:])
        if skipped:
            text = f"[nnwatch left out {skipped:,} bytes: too fast to show]\n{text}"
        if rest and (text or rest != self._shown) and (last or abs(time - self._shown_at) >= _UNFINISHED_EVERY):
            text += rest
            self._shown_at = time
        elif not text:
            return []
        else:
            rest = ""
        if self._shown:
            text = "\r" + text
        self._shown = rest
        return [Console(time, text, step)]


def _collapse(data: bytes) -> str:
    """Text with each line as the terminal would show it at last."""
    lines = data.replace(b"\r\n", b"\n").split(b"\n")
    return b"\n".join(line.rstrip(b"\r").rpartition(b"\r")[2] for line in lines).decode("utf-8", "replace")
