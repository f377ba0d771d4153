"""Notices the first number that is not finite, has its origin looked for, says it, and has the batch kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from . import autopsy
from .case import Case, Report

RECOVERED = 10
"""Finite losses in a row after which the next one that is not finite is examined again."""


class Alarm:
    """``say(step, data)`` publishes a ``nonfinite`` event, ``keep(case, step, data)`` saves what led to it; ``failed``
    takes an error of the autopsy itself; ``ours`` says for its time that what the hooks see is our own doing."""

    def __init__(
        self,
        say: Callable[[int, Report], None],
        keep: Callable[[Case, int, Report], None],
        failed: Callable[[Exception], None],
        ours: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._say = say
        self._keep = keep
        self._failed = failed
        self._ours = ours
        self._recovered = 0
        self.armed = True
        """False once it has spoken, until the losses have been finite for a while."""

    def passed(self, loss: float) -> None:
        """A step's loss, while not armed."""
        self._recovered = self._recovered + 1 if loss - loss == 0.0 else 0
        if self._recovered >= RECOVERED:
            self.armed, self._recovered = True, 0

    def loss(self, case: Callable[[], Case], step: int, loss: float, *, late: bool = False) -> None:
        """The loss of ``step`` is not finite. ``late``: it was seen after the step."""
        if self.armed:
            self._examine(case(), autopsy.of_loss_seen_late if late else autopsy.of_loss, step, loss)

    def gradients(self, case: Callable[[], Case], step: int, loss: float | None) -> None:
        """A gradient of ``step`` may not be finite."""
        if self.armed:
            self._examine(case(), autopsy.of_gradients, step, loss)

    def weights(self, case: Callable[[], Case], step: int, loss: float | None) -> None:
        """The weights after ``step`` may not be finite."""
        if self.armed:
            self._examine(case(), autopsy.of_weights, step, loss)

    def refused(self, case: Callable[[], Case], step: int) -> None:
        """The loss function of ``step`` raised an exception for its target."""
        if self.armed:
            self._examine(case(), autopsy.of_refusal, step, None)

    def _examine(self, case: Case, work: Callable[[Case], Report | None], step: int, loss: float | None) -> None:
        self.armed = False
        with self._ours():
            report: Report | None = {"origin": "unknown", "detail": "it could not be examined"}
            try:
                report = work(case)
            except Exception as error:
                self._failed(error)
            if report is None:  # large, not infinite
                self.armed = True
                return
            now = step
            step -= report.pop("earlier", 0)
            if step != now:
                report["batch_step"] = now
            text = str(loss) if loss is not None else None
            data = {"layer": None, "op": None, **report, "loss": text, "last_finite_step": step - 1}
            self._say(step, data)
            try:
                self._keep(case, step, data)
            except Exception as error:
                self._failed(error)
