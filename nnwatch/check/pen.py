"""The conductor's own ring: what was tried becomes events of the session."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from ..process import start_ticks
from ..ring import RingError, Writer
from ..trial import EVENT

SIZE = 8 << 20


class Pen:
    """Opens its ring with the first event, so that the script's own segments come before it. ``rings`` are folders,
    best first."""

    def __init__(self, rings: list[str]) -> None:
        self._rings = rings
        self._ring: Writer | None = None

    def trial(self, data: dict[str, Any], step: int) -> bool:
        """Record one experiment, made after ``step`` steps. False where no ring can be had."""
        if self._ring is None and not self._open():
            return False
        assert self._ring is not None
        return self._ring.event({"name": EVENT, "segment": 0, "step": step, "time": time.time(), "data": data})

    def _open(self) -> bool:
        pid, start = os.getpid(), start_ticks(os.getpid()) or 0
        for folder in self._rings:
            try:
                self._ring = Writer(str(Path(folder) / f"{pid}-{start}.ring"), SIZE, pid, start)
                return True
            except (OSError, RingError):
                continue
        return False

    def close(self) -> None:
        if self._ring is not None:
            self._ring.close()
