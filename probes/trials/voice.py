"""What a run tells the conductor of the check: lines of JSON (``nnwatch/check/told.py``)."""

from __future__ import annotations

import json
import math
import os
from typing import Any


class Voice:
    """Appends to a file; a line is written at once, so that ranks do not mix theirs."""

    def __init__(self, path: str) -> None:
        self._path = path

    def tell(self, word: dict[str, Any]) -> None:
        line = json.dumps(_plain(word)).encode() + b"\n"
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, line)
        finally:
            os.close(file)

    def say(self, text: str) -> None:
        """Progress, for the user."""
        self.tell({"say": text})


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: they are absent."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
