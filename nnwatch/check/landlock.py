"""Landlock: a process gives up the right to write anywhere but in some folders (Linux 5.13, landlock(7))."""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
from collections.abc import Iterable

_CREATE, _ADD, _RESTRICT = 444, 445, 446
"""System calls, by the number that all architectures share."""
_VERSION = 1
_PATH_BENEATH = 1
_NO_NEW_PRIVS = 38
_WRITE_FILE, _TRUNCATE = 1 << 1, 1 << 14
_FOLDERS = sum(1 << bit for bit in range(4, 13))
"""Removing and making of files, folders, links, sockets, pipes, devices."""
_REFER = 1 << 13
_libc = ctypes.CDLL(None, use_errno=True)


def restrict(writable: Iterable[str]) -> None:
    """From now on this process, and those it starts, write beneath these paths alone. Raises OSError."""
    version = _call(_CREATE, None, 0, _VERSION)
    rights = _WRITE_FILE | _FOLDERS
    rights |= _REFER if version >= 2 else 0
    rights |= _TRUNCATE if version >= 3 else 0
    attributes = ctypes.create_string_buffer(struct.pack("<Q", rights), 8)
    rules = _call(_CREATE, attributes, 8, 0)
    try:
        for path in writable:
            with contextlib.suppress(FileNotFoundError):
                _allow(rules, path, rights)
        if _libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
        _call(_RESTRICT, rules, 0)
    finally:
        os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    there = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        folder = stat.S_ISDIR(os.fstat(there).st_mode)
        mine = rights if folder else rights & (_WRITE_FILE | _TRUNCATE)
        rule = ctypes.create_string_buffer(struct.pack("<Qi", mine, there), 12)
        _call(_ADD, rules, _PATH_BENEATH, rule, 0)
    finally:
        os.close(there)


def _call(number: int, *args: object) -> int:
    plain = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    found = int(_libc.syscall(ctypes.c_long(number), *plain))
    if found < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"landlock: {os.strerror(code)}")
    return found
