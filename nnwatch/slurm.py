"""One watch for all tasks of a Slurm step on a node: `srun nnwatch run train.py` starts a launcher for each of them.

The first to take a lock on this node makes the job and leads it; the others start their commands into it, so that one
monitor has all ranks of the node in one session. Standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from . import folders
from .card import Card

_DAY = 86400.0
_PAUSE = 0.1


def join(command: list[str], prepare: Callable[[], Path]) -> tuple[Path, bool]:
    """The folder of the job that ``command`` belongs to, and whether this process leads it and ``prepare`` made it."""
    folder = folders.short_folder()
    key = _key(command)
    if key is None or folder is None:
        return prepare(), True
    for old in folder.glob("step-*"):
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > _DAY:
                old.unlink()
    with (folder / key).open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        known = file.read()
        if known and _runs(Path(known)):
            return Path(known), False
        job = prepare()
        file.truncate(0)
        file.write(str(job))
        return job, True


def _key(command: list[str]) -> str | None:
    """What the tasks of one step have in common; None where there is no such step."""
    step = [os.environ.get(f"SLURM_{name}", "") for name in ("JOB_ID", "STEP_ID", "NTASKS", "RESTART_COUNT")]
    if not (step[0] and step[1] and step[2].isdecimal() and int(step[2]) > 1):
        return None
    words = "\0".join([*step, os.getcwd(), *command])
    return f"step-{hashlib.sha256(words.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"


def _runs(job: Path) -> bool:
    try:
        alive = Card.load(job / "job.json").state == "running"
    except ValueError:
        return False
    return alive and (job / "boot").exists() and not (job / "exit.json").exists()


@contextlib.contextmanager
def member(job: Path) -> Iterator[None]:
    """While a command runs in a job that another process leads."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            fcntl.flock(stack.enter_context((job / "members").open("a")), fcntl.LOCK_SH)
        yield


def wait_for_members(job: Path, interrupted: Callable[[], bool]) -> None:
    """Until the commands of all others have ended."""
    with contextlib.suppress(OSError), (job / "members").open("r") as file:
        while not interrupted():
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(_PAUSE)
