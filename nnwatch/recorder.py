"""The monitor's hold on the session: every frame goes through ``take``, into the history and towards the file."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from . import __version__, scratch
from .card import Card
from .frame import Block, Commit, Event, Frame, Run
from .history import History
from .ingest import Ids
from .parser import SessionError
from .session import Reader, Writer

_MOST_PENDING = 32 << 20
"""Bytes kept while the disk is full; beyond them the rings are left to fill and to count what they drop."""
_CHUNK = 1 << 20

Listener = Callable[[Frame, bool], None]
"""Hears each frame; the flag says that an earlier monitor took it already."""


class Recorder:
    """The session of one job, new, or gone on with behind the last Commit of a monitor that died.

    ``path`` is where it lies: as the card says, or in the job folder if that place cannot be written to. ``again``: an
    earlier monitor began it.
    """

    def __init__(self, job: Path, card: Card, listener: Listener) -> None:
        self.history = History()
        self.ids = Ids()
        self._listener = listener
        self._pending: list[Frame] = []
        self._pending_bytes = 0
        self._failing_since = 0.0
        wanted, kept = Path(card.session), job / "session.nnw"
        self.again = any(path.exists() for path in (wanted, kept))
        for path in (wanted, kept):
            if path.exists():
                self.path, self._writer = path, self._resume(path, card.id)
                return
        self.take(
            Run(
                card.name, card.id, card.host, card.command, card.python, card.cwd, card.started, card.headless,
                f"nnwatch {__version__}",
            )
        )  # fmt: skip
        try:
            wanted.parent.mkdir(parents=True, exist_ok=True)
            self.path, self._writer = wanted, Writer(wanted)
        except OSError as error:
            self.path, self._writer = kept, Writer(kept)
            self.notice(f"{wanted.parent} cannot be written to ({error.strerror}): the session is kept in {kept}")

    def _resume(self, path: Path, id: str) -> Writer:
        writer = Writer(path, resume=True)
        reader = Reader(path)
        while frames := reader.read(_CHUNK):
            for frame in frames:
                self.history.apply(frame)
                self.ids.learn(frame)
                self._listener(frame, True)
        reader.close()
        if self.history.run is None or self.history.run.id != id:
            raise SessionError(f"{path} is of another run and is left alone")
        return writer

    @property
    def commit(self) -> Commit:
        return self._writer.commit

    @property
    def number(self) -> int:
        """Count of frames in the file."""
        return self._writer.number

    @property
    def end(self) -> int:
        """Length of the file in bytes."""
        return self._writer.end

    @property
    def pending(self) -> bool:
        return bool(self._pending)

    @property
    def stalled(self) -> bool:
        """Nothing more should be read from the rings: the disk is full, and so is what may be kept in memory."""
        return self._pending_bytes >= _MOST_PENDING

    def take(self, frame: Frame) -> None:
        self.history.apply(frame)
        self._pending.append(frame)
        self._pending_bytes += 256 + (len(frame.values) if isinstance(frame, Block) else 0)
        self._listener(frame, False)

    def notice(self, text: str) -> None:
        """Something the user should know about the watching itself."""
        self.take(Event("notice", time.time(), self.history.last_step, data={"text": text}))

    def write(self, now: float, cursors: dict[str, tuple[int, int]], dropped: int) -> bool:
        """One flush. False if the disk does not take it: the frames are kept, and written with a later flush."""
        told = self._again(now)
        try:
            self._writer.append([*told, *self._pending], Commit(now, cursors, dropped))
        except OSError as error:
            if not self._failing_since:
                self._failing_since = time.monotonic()
                why = f"{self.path} cannot be written ({error.strerror})"
                self.notice(f"{why}: training goes on, the recording waits for the disk")
            return False
        self._pending, self._pending_bytes = [], 0
        self.history.commit = self._writer.commit  # no news to those who judge
        scratch.rest()
        self._failing_since = 0.0
        for frame in told:
            self.history.apply(frame)
            self._listener(frame, False)
        return True

    def _again(self, now: float) -> list[Frame]:
        """What is told first when the disk takes frames again: it belongs before the run's end."""
        if not self._failing_since:
            return []
        step, seconds = self.history.last_step, time.monotonic() - self._failing_since
        text = "the session can be written again; nothing was left out unless an overflow is told of"
        full = Event("disk.full", now, step, data={"seconds": seconds})
        return [full, Event("notice", now, step, data={"text": text})]
