"""A command whose writing stays in a scratch folder: ``python -m nnwatch.check.contain SPEC COMMAND...``.

An overlay, in a mount namespace of its own, lies over the user's folders: the command reads what is there, and what it
writes, changes or removes is kept apart. Where no namespace is to be had, Landlock (Linux 5.13) refuses every write
outside of the scratch folder. ``SPEC`` is JSON, see ``Spec``. Standard library only; no thread, as namespaces want it.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from . import landlock

How = Literal["overlay", "landlock", "none"]

_NEW_MOUNTS, _NEW_USER = 0x00020000, 0x10000000
_READ_ONLY, _BIND, _REMOUNT, _RECURSIVE, _PRIVATE = 1, 4096, 32, 16384, 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class Spec:
    """``folders`` of the user, none inside another; ``scratches`` on file systems of their own where there are some,
    best first; ``open`` is what stays writable."""

    folders: list[str]
    scratches: list[str]
    open: list[str]
    how: How | None = None
    """As it was found out before; None: the best there is."""

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))


def contain(spec: Spec) -> How:
    """Contain this process and those it will start. What it was is what is given back."""
    if spec.how in (None, "overlay"):
        try:
            _overlay(spec)
            return "overlay"
        except OSError as error:
            if spec.how is not None:
                raise
            print(f"no overlay: {error}", file=sys.stderr)
    if spec.how in (None, "landlock"):
        try:
            landlock.restrict([*spec.scratches, *spec.open, "/dev", "/proc"])
            return "landlock"
        except OSError as error:
            if spec.how is not None:
                raise
            print(f"no Landlock: {error}", file=sys.stderr)
    return "none"


def _overlay(spec: Spec) -> None:
    if "/" in spec.folders:
        raise OSError("the folder is the root of the file system")
    _unshare()
    _mount("none", "/", None, _RECURSIVE | _PRIVATE)
    kept = [(path, os.open(path, os.O_PATH)) for path in spec.open]
    points = [(point, os.open(point, os.O_PATH)) for point in _points(spec.folders)]
    for number, (point, below) in enumerate(points):
        if not _lay_over(point, below, number, spec.scratches):
            if point in spec.folders:
                raise OSError(f"{point}: its file system takes no overlay")
            _mount(f"/proc/self/fd/{below}", point, None, _BIND | _RECURSIVE)
            _mount("none", point, None, _BIND | _REMOUNT | _READ_ONLY)
    for path, there in kept:
        if any(Path(path).is_relative_to(folder) for folder in spec.folders):
            _mount(f"/proc/self/fd/{there}", path, None, _BIND)
    os.chdir(os.getcwd())  # through the overlay


def _points(folders: list[str]) -> list[str]:
    """The folders, and every file system that is mounted inside of one, outer ones first."""
    with open("/proc/self/mountinfo") as file:
        mounted = [line.split()[4].encode().decode("unicode_escape") for line in file]
    inside = {p for p in mounted for folder in folders if p != folder and Path(p).is_relative_to(folder)}
    return [*folders, *sorted(p for p in inside if os.path.isdir(p))]


def _lay_over(point: str, below: int, number: int, scratches: list[str]) -> bool:
    for scratch in scratches:
        place = Path(scratch) / str(number)
        upper, work = place / "upper", place / "work"
        for folder in (upper, work):
            folder.mkdir(parents=True, exist_ok=True)
        os.chmod(upper, os.stat(f"/proc/self/fd/{below}").st_mode & 0o7777)
        layers = f"lowerdir=/proc/self/fd/{below},upperdir={upper},workdir={work}"
        for options in (f"{layers},userxattr", layers):
            try:
                _mount("overlay", point, "overlay", 0, options)
                (place / "of").write_text(point)
                return True
            except OSError:
                continue
    return False


def _unshare() -> None:
    """Mounts of our own; as root at once, else as root of a user namespace of our own."""
    if _libc.unshare(_NEW_MOUNTS) == 0:
        return
    user, group = os.getuid(), os.getgid()
    if _libc.unshare(_NEW_MOUNTS | _NEW_USER) != 0:
        raise OSError(ctypes.get_errno(), "no user namespace")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    def encoded(text: str | None) -> bytes | None:
        return None if text is None else os.fsencode(text)

    found = _libc.mount(encoded(source), encoded(target), encoded(kind), ctypes.c_ulong(flags), encoded(options))
    if found != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {target}: {os.strerror(number)}")


def main() -> None:
    """Without a command: say how it would be contained."""
    spec = Spec(**json.loads(Path(sys.argv[1]).read_text()))
    command = sys.argv[2:]
    how = contain(spec)
    if not command:
        print(how)
        return
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: cannot be started: {error.strerror}")


if __name__ == "__main__":
    main()
