"""A log of another tool as a source of frames, as a session file is one: for the screen, reports, exports."""

from __future__ import annotations

import time
from pathlib import Path

from nnwatch import settings
from nnwatch.advisor.engine import Advisor
from nnwatch.card import Card
from nnwatch.errors import RunError
from nnwatch.frame import End, Frame

from . import judged
from .find import format_of
from .frames import Frames
from .log import LogError

QUIET = 60.0
"""Seconds without a new byte after which a log is taken to be complete."""
_LOOK = 0.5
"""Seconds between two looks at a log that grows."""
_WAIT = 0.1
"""Longest wait of a ``read`` in seconds."""


class LogSource:
    """``read``, ``lost``, ``flaw`` and ``close`` as of a FileSource. With ``follow`` it is read on while it grows.

    One that has not grown for a minute is taken to be complete.

    Raises RunError where nothing can be read.
    """

    def __init__(self, card: Card, *, follow: bool) -> None:
        form, run = format_of(card), Path(card.session)
        rules, targets, _ = settings.rules(settings.read(Path.cwd()))
        self._growing = time.time() - card.started < QUIET
        try:
            self._log = form.open(run)
        except (LogError, OSError) as error:
            raise RunError(_line(error, run)) from None
        self._frames = Frames(card, self._log, Advisor(judged.rules(rules), targets), complete=not self._growing)
        self._follow = follow and self._growing
        self._ended = False
        self._looked = 0.0
        self._grew = time.monotonic()
        self.lost: str | None = None
        """Why no more will come although the run has not ended; None while all is well."""

    def read(self) -> list[Frame]:
        """Frames that are new; waits at most 0.1 s, empty when there are none."""
        now = time.monotonic()
        frames: list[Frame] = []
        if self._looked == 0.0 or (self._follow and now - self._looked > _LOOK):
            self._looked = now
            try:
                frames, self.lost = self._frames.read(), None
            except OSError as error:
                self.lost = f"{error.filename} cannot be read any more: {error.strerror}"
        self._ended = self._ended or any(isinstance(frame, End) for frame in frames)
        if frames:
            self._grew = now
        else:
            if not self._ended:
                self.lost = self.lost or self._silence()
            time.sleep(_WAIT * self._follow)
        return frames

    def _silence(self) -> str | None:
        if not self._follow:
            return "the log still grows; nnwatch attach follows it"
        quiet = time.monotonic() - self._grew
        return f"nothing was added to the log for {quiet:.0f} s" if quiet > QUIET else None

    @property
    def flaw(self) -> str | None:
        """What is missing of all that was read, None if it is whole; what grows may end in the middle."""
        return None if self._growing else self._log.flaw

    def close(self) -> None:
        """Nothing is held open between two reads."""


def _line(error: LogError | OSError, run: Path) -> str:
    if isinstance(error, LogError):
        return str(error)
    return f"{error.filename or run}: cannot be read: {error.strerror}"
