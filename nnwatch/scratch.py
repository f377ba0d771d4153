"""Arrays that take no memory: large ones lie in a file without a name, and the system keeps in memory what is used.

A history holds every number of a run, and rules read windows that reach back to the first step; a run of a week would
fill the memory of who watches it. In a file the numbers are where they were and as they were, the pages are the
system's to write out and to read back, and the file is gone with the process, however that ends. It takes as much
disk as the numbers, so it leaves the disk its last gigabyte. Where there can be none (no such disk, a system without
``posix_fallocate``) arrays are in memory as any other.
"""

from __future__ import annotations

import contextlib
import functools
import math
import mmap
import os
import tempfile
import threading
import time
import weakref
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_FROM = 256 << 10
"""Bytes from which an array lies in the file."""
_SPAN = 1 << 38
"""Bytes of addresses that the file is given; it takes those of arrays in use from the disk."""
_SPARE = 1 << 30
"""Bytes that the disk is left with."""
_REST_EVERY = 1.0


class _Scratch:
    """One file, mapped once: arrays are handed out behind each other, and what is free again is a hole in the file."""

    def __init__(self, folder: str) -> None:
        """Raises OSError, ValueError or AttributeError where there can be none."""
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - as long as the process
        try:
            os.posix_fallocate(self._file.fileno(), 0, mmap.PAGESIZE)
            self._file.truncate(_SPAN)
            self._map = mmap.mmap(self._file.fileno(), _SPAN)
        except BaseException:
            self._file.close()
            raise
        self._lock = threading.Lock()
        self._end = 0
        self._rested = 0.0

    def take(self, size: int) -> NDArray[np.uint8]:
        """``size`` bytes, all zero. Raises OSError where the disk has no room: here, not when they are written."""
        size = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        disk = os.fstatvfs(self._file.fileno())
        with self._lock:
            begin = self._end
            if begin + size > _SPAN or disk.f_bavail * disk.f_frsize < size + _SPARE:
                raise OSError("no room")
            os.posix_fallocate(self._file.fileno(), begin, size)
            self._end += size
        array = np.frombuffer(self._map, np.uint8, size, begin)
        weakref.finalize(array, self._give_back, begin, size).atexit = False  # every view of it keeps it alive
        return array

    def _give_back(self, begin: int, size: int) -> None:
        with contextlib.suppress(OSError):  # a file system without holes keeps it
            self._map.madvise(mmap.MADV_REMOVE, begin, size)

    def rest(self) -> None:
        now = time.monotonic()
        if self._end and now - self._rested >= _REST_EVERY:
            self._rested = now
            self._map.madvise(mmap.MADV_DONTNEED, 0, self._end)


@functools.cache
def _scratch() -> _Scratch | None:
    """``/var/tmp`` first: it is to outlive a restart, so it is a disk, where ``/tmp`` may be memory."""
    for folder in (os.environ.get("TMPDIR"), "/var/tmp", tempfile.gettempdir()):
        if folder:
            with contextlib.suppress(OSError, ValueError, AttributeError):
                return _Scratch(folder)
    return None


def array(shape: tuple[int, ...], kind: DTypeLike) -> NDArray[Any]:
    """An array to be filled; what is in it until then means nothing."""
    dtype = np.dtype(kind)
    size = math.prod(shape) * dtype.itemsize
    if size >= _FROM and (scratch := _scratch()) is not None:
        with contextlib.suppress(OSError):
            return scratch.take(size)[:size].view(dtype).reshape(shape)
    return np.empty(shape, dtype)


def rest() -> None:
    """Let go of what was read and written of such arrays, once a second at most: the next use finds it again."""
    if _scratch.cache_info().currsize and (scratch := _scratch()) is not None:
        scratch.rest()
