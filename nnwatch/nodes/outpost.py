"""A node to which the user's command has gone by itself: `nnwatch run -- srun python train.py` starts ranks on many.

Their boot folder is on the file system that all nodes share, and there is nobody of ours beside them. The first rank of
such a node that imports torch starts this once: it makes the folder of the rings, and a job of the node's own, with a
monitor, that is kept as the launcher would. The launcher's monitor finds its session in the shared folder. Standard
library only.

``python -m nnwatch.nodes.outpost JOB RANK``: the job that the rank (a process id) belongs to; run from JOB.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from .. import folders
from .. import job as jobs
from ..card import SUFFIX, Card
from ..folders import write_json
from ..keeper import Monitor, Voice
from ..process import Process, here
from .group import Place, place

_PATIENCE = 5.0
"""Seconds after the last rank until the launcher has to have said how the command ended."""
_TICK = 0.2


def start(job: Path, rank: int) -> None:
    """Make this node's job, unless another rank has, and leave a process to keep it. Raises OSError and RunError."""
    rings = [Path(ring) for ring in jobs.options(job)["rings"]]
    folder = folders.short_folder()
    if folder is None:
        return
    with (folder / f"outpost-{Card.load(job / 'job.json').id}").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if rings[0].exists():
            return
        made = _prepare(job, rank)
        folders.private(rings[0].parent)
        rings[0].mkdir(mode=0o700)
    with (made / "launch.log").open("ab") as log:
        words = [sys.executable, "-m", "nnwatch.nodes.outpost", str(job), str(rank), str(made)]
        subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=made, start_new_session=True)


def _prepare(job: Path, rank: int) -> Path:
    whole, options = Card.load(job / "job.json"), jobs.options(job)
    host = here()["host"]
    session = f"{whole.session.removesuffix(SUFFIX)}.{host}{SUFFIX}"
    made = jobs.prepare(
        whole.command, python=whole.python, name=whole.name, session=session, settings=options["settings"],
        place=Place(whole.group, place(()).node),
    )  # fmt: skip
    for folder in jobs.options(made)["rings"]:
        shutil.rmtree(folder, ignore_errors=True)
    write_json(made / "options.json", jobs.options(made) | {"rings": options["rings"], "quiet": True})
    (made / "hello").rmdir()
    (made / "hello").symlink_to(job / "hello")
    card = Card.load(made / "job.json")
    card.cwd, card.trainer = whole.cwd, _parent(rank)
    card.save(made / "job.json")
    return made


def _parent(rank: int) -> Process:
    """Who started the ranks of this node: it is there until the last of them has ended."""
    parent = int(Path(f"/proc/{rank}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return Process.of(parent if parent > 1 else rank)


def keep(job: Path, made: Path) -> None:
    """What the launcher does beside a command, for one that was not started from here."""
    card = Card.load(made / "job.json")
    card.launcher = Process.of(os.getpid())
    card.save(made / "job.json")
    assert card.trainer is not None
    monitor = Monitor(made, Voice())
    while card.trainer.alive:
        time.sleep(_TICK)
        monitor.keep()
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            write_json(made / "exit.json", json.loads((job / "exit.json").read_text()))
            break
        time.sleep(_TICK)
    else:
        end = {"status": "lost", "exit": None, "signal": None, "time": time.time()}
        write_json(made / "exit.json", end | {"cause": "only the launcher knows how the command ended"})
    monitor.finish(set())


if __name__ == "__main__":
    if len(sys.argv) > 3:
        keep(Path(sys.argv[1]), Path(sys.argv[3]))
    else:
        start(Path(sys.argv[1]), int(sys.argv[2]))
