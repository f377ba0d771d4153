"""Parts of the monitor that may fail without the rest: what failed is off, and told once."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

_Result = TypeVar("_Result")


class Parts:
    """``notice`` is told; ``log`` is where the traceback goes, which is standard error."""

    def __init__(self, log: Path, notice: Callable[[str], None]) -> None:
        self._log = log
        self._notice = notice
        self._failed: set[str] = set()

    def off(self, part: str) -> bool:
        return part in self._failed

    def attempt(self, part: str, action: Callable[[], _Result]) -> _Result | None:
        """What ``action`` returns, None where it failed."""
        try:
            return action()
        except Exception as error:
            traceback.print_exc()
            if part not in self._failed:
                self._failed.add(part)
                why = f"{type(error).__name__}: {error}; see {self._log}"
                self._notice(f"the {part} part of nnwatch failed and is off ({why})")
            return None
