"""Memory that goes back to the system when columns that grow are copied to a larger place."""

from __future__ import annotations

import contextlib
import ctypes

_M_MMAP_THRESHOLD = -3
_FROM = 128 << 10


def keep_none() -> None:
    """From 128 kB on, each block of memory is mapped for itself and given back when it is freed.

    That is how glibc begins, but with each such block that is freed it takes the next ones of that size from its heap,
    up to 32 MB; what columns leave there as they double is half as much again as the numbers they hold. Where the C
    library has no such setting nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _FROM)
