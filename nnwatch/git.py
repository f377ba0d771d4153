"""The state of a folder's git repository, read from its files: no process is started, and no lock taken."""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path
from typing import Any

MOST = 20_000
"""Files in the index, at most, that are looked at to find out whether one was changed."""
_ENTRY = struct.Struct(">10I20sH")  # times, dev, ino, mode, uid, gid, size; hash; flags (git's index-format, version 2)


def state(folder: Path) -> dict[str, Any] | None:
    """``commit``, ``branch`` (None where HEAD is detached), and ``dirty`` where it can be told: a tracked file is not
    as the index has it. None where there is no repository, or none that can be read."""
    try:
        root = next(place for place in (folder, *folder.parents) if (place / ".git").exists())
        git = root / ".git"
        if git.is_file():  # a worktree or submodule
            git = (root / git.read_text().removeprefix("gitdir:").strip()).resolve()
        shared = git / "commondir"
        common = (git / shared.read_text().strip()).resolve() if shared.exists() else git
        head = (git / "HEAD").read_text().strip()
        branch = head.removeprefix("ref: ") if head.startswith("ref: ") else None
        commit = head if branch is None else _commit(branch, git, common)
        known: dict[str, Any] = {"commit": commit, "branch": branch and branch.removeprefix("refs/heads/")}
        if (dirty := _dirty(root, git / "index")) is not None:
            known["dirty"] = dirty
    except (OSError, StopIteration, ValueError, struct.error):
        return None
    return known


def _commit(ref: str, git: Path, common: Path) -> str | None:
    for place in (git / ref, common / ref):
        if place.exists():
            return place.read_text().strip()
    packed = common / "packed-refs"
    for line in packed.read_text().splitlines() if packed.exists() else ():
        if line.endswith(f" {ref}"):
            return line.split()[0]
    return None  # nothing was committed yet


def _dirty(root: Path, index: Path) -> bool | None:
    """Compare what the index says of each file with the file, by size and time and, where these differ, by content."""
    if not index.exists():  # nothing was added yet
        return None
    data = index.read_bytes()
    signature, version, count = struct.unpack_from(">4sII", data)
    if signature != b"DIRC" or version not in (2, 3) or count > MOST:
        return None
    at = 12
    for _ in range(count):
        *numbers, digest, flags = _ENTRY.unpack_from(data, at)
        start = at + _ENTRY.size + (2 if flags & 0x4000 else 0)
        end = data.index(b"\0", start)
        path = root / os.fsdecode(data[start:end])
        at += (end - at) // 8 * 8 + 8
        seconds, nanoseconds, mode, size = numbers[2], numbers[3], numbers[6], numbers[9]
        if mode >> 12 != 0b1000:  # links and submodules
            continue
        try:
            found = path.stat()
        except OSError:
            return True
        if found.st_size != size:
            return True
        if divmod(found.st_mtime_ns, 10**9) != (seconds, nanoseconds):
            content = path.read_bytes()
            if hashlib.sha1(b"blob %d\0" % len(content) + content).digest() != digest:
                return True
    return False
