"""What the runs of a script tell the conductor: lines of JSON, appended to a file.

``{"say": text}`` is progress, ``{"trial": ...}`` the data of an experiment (``nnwatch/trial.py``), ``{"left": why}``
the last word: "steps" were enough, the "time" was over, or the script came to its "end". It has the ``losses`` of the
steps as they are and the seconds of each (``pace``). After the first run also how many ``step`` they were, the seconds
before them (``loading``), whether one was ``captured`` and whether a ``loader`` gave the data, how many are
``planned``, ``connections``, and checkpoints ``loaded``; after the second one the steps of the range test (``ramped``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Told:
    """Reads what is new in the file; a line that is not finished is left for the next time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0

    def read(self) -> Iterator[dict[str, Any]]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._position)
                lines = file.readlines()
        except FileNotFoundError:
            return
        for line in lines:
            if line.endswith(b"\n"):
                self._position += len(line)
                yield json.loads(line)
