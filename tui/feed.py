"""One thread that reads frames into the history, some times a second, and says so; the screen looks at it under the
lock."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Lock, Thread
from time import monotonic, sleep
from typing import Protocol, runtime_checkable

from nnwatch.frame import Frame
from nnwatch.history import History

_CHUNK = 64
"""Frames taken in while the lock is held once: about a millisecond."""
PERIOD = 0.25
"""Seconds between two looks at a run that is being followed: digits that change faster cannot be read."""


class Source(Protocol):
    """Where frames come from: a file, a growing file, a socket."""

    lost: str | None
    """Why no more will come although the run has not ended; None while all is well."""

    def read(self) -> list[Frame]:
        """Frames that are new; waits at most 0.1 s, empty when there are none. Raises nothing."""

    def close(self) -> None: ...


@runtime_checkable
class Opening(Protocol):
    """A source that takes a while to be read, and has something to show at once."""

    def recent(self) -> list[Frame]:
        """The newest of what ``read`` will give; empty where that comes as soon."""


class Nothing:
    """The source when no run is open."""

    lost: str | None = None

    def read(self) -> list[Frame]:
        sleep(0.1)
        return []

    def close(self) -> None:
        """Nothing is held."""


class Feed:
    """``history`` may be read by whoever holds ``lock``. ``caught_up`` is set when a read first came back empty."""

    news: Callable[[], object] = staticmethod(lambda: None)
    """Called by the thread when there is something to show that was not there: where nothing happens, nothing wakes."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.history = History()
        self.lock = Lock()
        self.caught_up = Event()
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="nnwatch-feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        whole = self.history
        if isinstance(self.source, Opening):
            self._show(self.source.recent())
        told, lost = 0.0, None
        while not self._stopping.is_set():
            frames = self.source.read()
            for at in range(0, len(frames), _CHUNK):
                with self.lock:
                    for frame in frames[at : at + _CHUNK]:
                        whole.apply(frame)
                if self._stopping.is_set():
                    break
            new = bool(frames) or self.source.lost != lost
            if not frames and not self.caught_up.is_set():
                if self.history is not whole:
                    with self.lock:
                        whole.replaced += 1
                        self.history = whole
                self.caught_up.set()
                new = True
            if new and (not frames or len(frames) < _CHUNK or monotonic() - told > PERIOD):
                told, lost = monotonic(), self.source.lost
                self.news()
            if self.caught_up.is_set() and len(frames) < _CHUNK:  # more of them are a backlog: go on at once
                self._stopping.wait(PERIOD)
        self.source.close()

    def _show(self, recent: list[Frame]) -> None:
        """Have something to look at until all is read."""
        history = History()
        for frame in recent:
            history.apply(frame)
        if recent:
            with self.lock:
                self.history = history

    def stop(self) -> None:
        """End the thread and close the source; at most one wait of the source later."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2)
