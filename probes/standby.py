"""What is there in every process that imports torch, until something is made or trained: little.

Names are imported from torch at any time, so all patches are put on it at once; but what they tell is understood by
some sixty modules, which take tens of milliseconds to load. The first thing that is worth telling loads them: a module
or an optimizer that is made, a loader that is read, a checkpoint. A launcher or a worker that loads data never does.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
from collections.abc import Callable
from threading import RLock, get_ident
from time import perf_counter
from typing import TYPE_CHECKING, Any

from . import apart, ending, fastest
from .probe import Probes
from .seeds import Seeds

if TYPE_CHECKING:
    from .watch import Watch

PATIENCE = 10.0
"""Seconds, at most, that a thread waits for another one that loads: it may hold a module that the other imports."""
KEY = "nnwatch"
"""Of our hooks among those of a module."""


class Standby:
    """One per process. ``settings`` as in the boot folder's settings.json."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self.checked = "check" in settings
        """Is this a run of a check?"""
        self._lock = RLock()
        self._loading: int | None = None
        """The thread that loads."""
        self._collects = False
        """Is garbage to be collected again when it has?"""
        self._error: Exception | None = None
        os.register_at_fork(after_in_child=self._forked)
        atexit.register(self._exit)
        self.lane = fastest.Fastest()
        self.probes = Probes()
        self.seeds = Seeds()
        self.made: Watch | None = None
        """The watch, where it has been asked for."""

    @property
    def watch(self) -> Watch:
        """Made when it is first asked for. Raises what went wrong with that, each time it is asked for."""
        return self.made or self._make()

    def told(self, hook: Callable[..., object], *args: Any) -> None:
        """What a step of another kind than the lane knows is told, by the clock."""
        began = perf_counter()
        hook(*args)
        self.lane.spent += perf_counter() - began

    def _make(self) -> Watch:
        if not self._lock.acquire(timeout=PATIENCE):
            raise TimeoutError("another thread has been loading the probes for too long")
        try:
            if self._error is not None:
                raise self._error
            return self.made or self._load()
        finally:
            self._lock.release()

    def _load(self) -> Watch:
        self._loading = get_ident()
        self._collects = gc.isenabled()
        gc.disable()  # all that is loaded stays: to look through it, and torch's own half a million objects, is in vain
        try:
            with apart.present():
                from .watch import Watch

            self.made = Watch(self._settings, self.lane, self.probes, self.seeds)
        except Exception as error:
            self._error = error
            self._tell(error=f"{type(error).__name__}: {error}")
            raise
        finally:
            self._loading = None
            self._collect()
        return self.made

    def _collect(self) -> None:
        if self._collects:
            gc.enable()

    def _forked(self) -> None:
        """In a child that was forked while another thread loaded, that thread is gone and its modules are half made."""
        if self._loading not in (None, get_ident()):
            self._lock, self._loading = RLock(), None
            self._error = RuntimeError("forked while another thread was loading the probes")
            self._collect()

    def _exit(self) -> None:
        """At the end of the interpreter: an exception before the first backward pass opened a ring."""
        if self.made is None or not self.made.training.awake:
            self.probes.run("exit", self._tell_exception)

    def _tell_exception(self) -> None:
        if (found := ending.exception()) is not None:
            self._tell(exception=found)

    def _tell(self, **what: Any) -> None:
        """The monitor, which tells the user why nothing is watched: in what the boot file left in JOB/hello."""
        with apart.present():
            from .emit import start_ticks

        path = os.path.join(self._settings["job"], "hello", f"{os.getpid()}-{start_ticks()}")
        with open(path) as file:
            hello = json.load(file)
        with open(path + ".new", "w") as file:
            json.dump(hello | what, file)
        os.rename(path + ".new", path)
