"""Fault isolation: whatever goes wrong in a probe stays in that probe."""

from __future__ import annotations

from collections.abc import Callable

LIMIT = 3
"""Failures after which a probe is switched off for the rest of the process."""


class Probes:
    """Counts the failures of each probe by name and says which may still run."""

    def __init__(self) -> None:
        self.report: Callable[[str, str], None] | None = None
        """Called once for a probe, when it is switched off: ``report(name, error)``."""
        self._failures: dict[str, int] = {}
        self.off: set[str] = set()

    def failed(self, name: str, error: BaseException) -> None:
        """Note a failure. Raises nothing, ever: it is called where the user's code goes on."""
        try:
            self._failures[name] = count = self._failures.get(name, 0) + 1
            if count == LIMIT:
                self.off.add(name)
                if self.report is not None:
                    self.report(name, f"{type(error).__name__}: {error}")
        except Exception:
            self.off.add(name)

    def run(self, name: str, work: Callable[[], None]) -> None:
        """Do ``work`` unless its probe is off; a failure of it is noted and goes no further."""
        if name not in self.off:
            try:
                work()
            except Exception as error:
                self.failed(name, error)
