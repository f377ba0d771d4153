"""A memory barrier in plain Python, for memory that two processes share. Standard library only."""

from __future__ import annotations

from threading import Lock


class Fence:
    """What was written or read before the call is so for every processor before what is written or read after it.

    Python has no barrier, but its locks are two halves of one: to let go of one is a release, to take one an acquire,
    and no processor lets an acquire overtake an earlier release (x86 keeps stores in order anyway; Arm ARM B2.3,
    "barrier-ordered-before"; on POWER each has a barrier of its own). Nobody else has the lock: nothing waits.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._lock.acquire()

    def __call__(self) -> None:
        self._lock.release()
        self._lock.acquire()
