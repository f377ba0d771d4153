"""Notices the first number that is not finite, has its origin looked for, and says it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .autopsy import Case, Report

RECOVERED = 10
"""Finite losses in a row after which the next one that is not finite is examined again."""

Say = Callable[[int, dict[str, Any]], None]


class Alarm:
    """``say(step, data)`` publishes a ``nonfinite`` event; ``failed(error)`` takes an error of the autopsy itself."""

    def __init__(self, say: Say, failed: Callable[[Exception], None]) -> None:
        self._say = say
        self._failed = failed
        self._recovered = 0
        self.armed = True
        """False once it has spoken, until the losses have been finite for a while."""
        self.busy = False
        """An autopsy is running; what the hooks see meanwhile is our own doing."""

    def passed(self, loss: float) -> None:
        """A step's loss, while not armed."""
        self._recovered = self._recovered + 1 if loss - loss == 0.0 else 0
        if self._recovered >= RECOVERED:
            self.armed, self._recovered = True, 0

    def loss(self, case: Callable[[], Case], step: int, loss: float, *, late: bool = False) -> None:
        """The loss of ``step`` is not finite. ``late``: it was seen after the step."""
        if self.armed:
            found = case()
            self._examine(found.of_loss_seen_late if late else found.of_loss, step, loss)

    def gradients(self, case: Callable[[], Case], step: int, loss: float | None) -> None:
        """A gradient of ``step`` may not be finite."""
        if self.armed:
            self._examine(case().of_gradients, step, loss)

    def _examine(self, work: Callable[[], Report | None], step: int, loss: float | None) -> None:
        self.armed = False
        self.busy = True
        report: Report | None = {"origin": "unknown", "detail": "it could not be examined"}
        try:
            report = work()
        except Exception as error:
            self._failed(error)
        finally:
            self.busy = False
        if report is None:  # large, not infinite
            self.armed = True
            return
        step -= report.pop("earlier", 0)
        self._say(step, {"layer": None, "op": None, **report, "loss": str(loss), "last_finite_step": step - 1})
