"""The folders that nnwatch makes: jobs, sockets, sessions; and files in them that are replaced as a whole.

Standard library only, the launcher needs it.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

from .errors import RunError

SOCKET_PATH_LIMIT = 107
"""Longest path of a Unix socket on Linux, in bytes."""


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Replace the file as a whole: a reader sees the old one or the new one."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(json.dumps(data))
    new.replace(path)


def private(folder: Path) -> Path:
    """Make a folder that only this user may enter. Raises OSError if it is someone else's or a link."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{folder} does not belong to this user")
    if found.st_mode & 0o077:
        folder.chmod(0o700)
    return folder


def short_folder() -> Path | None:
    """Where sockets lie: owner-only, a short path, and still there after the user logs out. None if there is none.

    ``$XDG_RUNTIME_DIR`` goes away with the last login, so it is only the second choice.
    """
    choices = [Path("/tmp") / f"nnwatch-{os.getuid()}"]
    if "XDG_RUNTIME_DIR" in os.environ:
        choices.append(Path(os.environ["XDG_RUNTIME_DIR"]) / "nnwatch")
    for folder in choices:
        with contextlib.suppress(OSError):
            return private(folder)
    return None


def registries() -> list[Path]:
    """Folders that may hold job folders, best first."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return [Path(state) / "nnwatch" / "jobs", Path(tempfile.gettempdir()) / f"nnwatch-{os.getuid()}" / "jobs"]


def find_job(id: str) -> Path | None:
    """The folder of a job, if it can be seen from here."""
    return next((path for path in (registry / id for registry in registries()) if path.exists()), None)


def sessions_folder() -> Path:
    """Where new sessions are written and the runs of this place are looked for."""
    return Path(os.environ.get("NNWATCH_HOME") or ".nnwatch").absolute()


def new_job(id: str) -> Path:
    """Make the job folder. Raises RunError when no registry can be written to."""
    reasons = []
    for registry in registries():
        try:
            job = private(registry) / id
            job.mkdir(mode=0o700)
        except OSError as error:
            reasons.append(str(error))
        else:
            return job
    raise RunError(f"no folder for the job: {'; '.join(reasons)}; set XDG_STATE_HOME to one that can be written")
