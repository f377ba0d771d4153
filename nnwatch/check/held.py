"""What a process holds while it lives: a lock that the kernel opens when its holder ends, in whatever way."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Held:
    """A file, made if it is not there, or a folder, held from now on (flock(2)). Raises OSError where another holds
    it."""

    def __init__(self, path: Path) -> None:
        flags = os.O_RDONLY | (0 if path.is_dir() else os.O_CREAT)
        self._file: int | None = os.open(path, flags, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
