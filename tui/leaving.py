"""Stopping or killing the training from its screen: ask once, wait, help it along, leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from .screens.leave import Choice

GRACE = 10.0
"""Seconds that a script has to end after the interrupt, and after the SIGTERM that follows."""


class Control(Protocol):
    """What can be done to the training."""

    def interrupt(self) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


class Leaving:
    """``choice`` is None until the user chose to stop or to kill."""

    def __init__(self, control: Control, clock: Callable[[], float]) -> None:
        self._control = control
        self._clock = clock
        self._deadline = 0.0
        self._patient = False
        self.choice: Choice | None = None

    def begin(self, choice: Choice) -> None:
        """Send the signal: one interrupt to stop, so that the script can save; or kill at once."""
        if choice == "stop":
            self._control.interrupt()
        else:
            self._control.kill()
        self.choice, self._patient = choice, choice == "stop"
        self._deadline = self._clock() + GRACE

    def over(self, ended: bool) -> bool:
        """Whether to leave now: the run has ended, or is clearly not going to. Sends SIGTERM in between."""
        if self.choice is None or (not ended and self._clock() <= self._deadline):
            return False
        if ended or not self._patient:
            return True
        self._control.terminate()
        self._patient, self._deadline = False, self._clock() + GRACE
        return False
