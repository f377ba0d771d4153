"""The job folder: made before the user's command starts, cleared away when its session is complete."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import folders, restart, runs
from .card import SUFFIX, Card
from .errors import RunError
from .listen import TOKEN, Address, new_token
from .nodes.group import ALONE, Place
from .process import Process, here

RING_BYTES = 16 << 20
_LEAST_BYTES = 1 << 20
_SHARED_MEMORY = Path("/dev/shm")
_PACKAGE = Path(__file__).parent
_NOT_FOR_US = ("PYTHONWARNINGS", "PYTHONINSPECT")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_DAY = 86400.0


def _ring_parents() -> list[Path]:
    """Where ring folders are made, one for each job."""
    return [parent / f"nnwatch-rings-{os.getuid()}" for parent in (_SHARED_MEMORY, Path("/tmp"))]


def default_name(command: list[str]) -> str:
    """``script-MMDD-HHMM`` of what is run: the first word of it that names a Python file, else the first."""
    words = [word for word in command if word.endswith(".py")] or command
    return f"{Path(words[0]).name.removesuffix('.py')}-{time.strftime('%m%d-%H%M')}"


def prepare(
    command: list[str],
    *,
    python: str = "",
    name: str | None = None,
    session: str | None = None,
    headless: bool = True,
    budget: float = 0.01,
    compiled_layers: bool = False,
    fail_on: str | None = None,
    on: list[list[str]] | None = None,
    settings: Mapping[str, Any] | None = None,
    interactive: bool = False,
    late: bool = False,
    alerts: list[list[str]] | None = None,
    listen: Address | None = None,
    token: str = "",
    join: Address | None = None,
    place: Place = ALONE,
    check: Mapping[str, Any] | None = None,
) -> Path:
    """Make the folder for one run of ``command`` and return it. Raises RunError.

    ``interactive``: a person types it, so that silence means nothing. ``late``: it is under way already. ``listen``:
    where far viewers may come, if they say ``token``; without one, one is made. ``join``: where the first node listens,
    with the ``token``; ``place``: which node of which job this is. ``check``: the run is a check
    (`check/plan.py`), which tells by itself.
    """
    prune()
    id = secrets.token_hex(4)
    name = name or default_name([word for word in command if word != python and not word.startswith("-")] or command)
    path = Path(session).absolute() if session else folders.sessions_folder() / f"{_plain(name)}-{id}{SUFFIX}"
    began = restart.start()
    if began.number and path.is_file():
        path = restart.free(path, began.number)
    if path.is_dir():
        raise RunError(f"--session {session}: a directory; give the name of a new file")
    if path.exists():
        raise RunError(f"--session {session}: exists already and is not overwritten; give the name of a new file")
    job = folders.new_job(id)
    taken = any(card.name == name for card in runs.runs())
    sockets = folders.short_folder()
    card = Card(
        id=id,
        name=name,
        session=str(path),
        command=command,
        cwd=os.getcwd(),
        started=time.time(),
        python=python,
        headless=headless,
        check=check is not None,
        group=place.job or (f"join-{join}" if join is not None else f"run-{id}"),
        node=place.node,
        job=began.job,
        start=began.number,
        socket=str(sockets / f"{id}.sock") if sockets else "",
        attach=f"nnwatch attach {id if taken or place.node else name}",  # a name means the first node's
        launcher=Process.of(os.getpid()),  # until the one that starts the command takes over: nobody prunes it
        **here(),
    )
    if (earlier := restart.before(card)) is not None:
        card.continues = earlier.id
    rings, ring_bytes = _rings(id, job)
    (job / "boot").mkdir()
    (job / "hello").mkdir()
    # The monitor runs from here: neither the user's folder nor a foreign package can shadow what it imports.
    (job / "nnwatch").symlink_to(_PACKAGE)
    (job / "boot" / "nnwatch").symlink_to(_PACKAGE)
    shutil.copyfile(_PACKAGE / "boot" / "sitecustomize.py", job / "boot" / "sitecustomize.py")
    boot = {"job": str(job), "session": str(path), "rings": rings, "ring_bytes": ring_bytes, "budget": budget}
    boot |= {"compiled_layers": compiled_layers, "host": card.host, "nnwatch": sys.executable}
    folders.write_json(job / "boot" / "settings.json", boot)
    if check is not None:
        folders.write_json(job / "check.json", dict(check))
    options: dict[str, Any] = {
        "rings": rings,
        "fail_on": fail_on,
        "on": on or [],
        "alerts": alerts or [],
        "settings": settings or {},
    }
    wanted = {"host": listen.host, "port": listen.port, "given": bool(token)} if listen is not None else None
    if listen is not None or join is not None:
        with open(job / "token", "x", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(token or new_token())
    options |= {"settings": settings or {}, "interactive": interactive, "late": late}
    options |= {"listen": wanted, "quiet": check is not None}
    options["join"] = {"host": join.host, "port": join.port} if join is not None else None
    folders.write_json(job / "options.json", options)
    card.save(job / "job.json")
    return job


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip(".-") or "run"


def _rings(id: str, job: Path) -> tuple[list[str], int]:
    """Folders for the rings, best first, and the size of one ring in bytes.

    Shared memory if an eighth of what is free there makes a useful ring (the trainer's own workers need the
    rest), then local disks; a network file system never.
    """
    size, (shared, local) = RING_BYTES, _ring_parents()
    parents = [local]
    try:
        free = shutil.disk_usage(_SHARED_MEMORY).free
    except OSError:
        free = 0
    if free // 8 >= _LEAST_BYTES:
        size = min(RING_BYTES, free // 8 // 4096 * 4096)
        parents.insert(0, shared)
    rings = []
    for parent in parents:
        try:
            folder = folders.private(parent) / id
            folder.mkdir(mode=0o700)
        except OSError:
            continue
        rings.append(str(folder))
    if not _on_network(job):
        (job / "rings").mkdir()
        rings.append(str(job / "rings"))
    return rings, size


def _on_network(folder: Path) -> bool:
    """True if the file system that holds ``folder`` is on another machine, or cannot be told."""
    best, kind = "", "unknown"
    try:
        mounts = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return True
    for line in mounts:
        _, point, name, *_ = line.split()
        if folder.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, name
    return kind in {"unknown", "lustre", "gpfs", "beegfs", "ceph", "cifs", "smb3", "9p", "afs"} or kind.startswith(
        ("nfs", "fuse.")
    )


def options(job: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((job / "options.json").read_text())
    return loaded


def environment(job: Path, *, console: bool) -> dict[str, str]:
    """The trainer's environment: the user's, with the boot folder first on PYTHONPATH.

    With ``console`` (its output goes to a file that people watch) Python is told to write at once.
    """
    env = {key: value for key, value in os.environ.items() if key != TOKEN}  # not the training's affair
    # An empty part of PYTHONPATH would mean the current folder.
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(job / "boot"), env.get("PYTHONPATH")]))
    if console:
        env.setdefault("PYTHONUNBUFFERED", "1")
    return env


def monitor_environment() -> dict[str, str]:
    """The monitor's: the user's, less what would reach into it. Beside a training it takes one core at the most."""
    env = {key: value for key, value in os.environ.items() if key not in _NOT_FOR_US}
    return env | dict.fromkeys(_THREADS, "1")


def clear(job: Path, rings: list[str]) -> None:
    """Remove what only a running job needs. The card, the console and how it ended stay."""
    for folder in rings:
        shutil.rmtree(folder, ignore_errors=True)
    for name in ("boot", "hello"):
        shutil.rmtree(job / name, ignore_errors=True)
    for name in ("nnwatch", "token"):
        (job / name).unlink(missing_ok=True)


def prune() -> None:
    """Forget what dead jobs left: rings of those that were killed as a whole, jobs whose session was deleted."""
    known = set()
    for registry in folders.registries():
        for path in registry.glob("*/job.json"):
            with contextlib.suppress(OSError, ValueError):
                card, job = Card.load(path), path.parent
                known.add(card.id)
                if card.state in ("running", "elsewhere"):
                    continue
                if (job / "boot").exists():
                    clear(job, options(job)["rings"])
                    Path(card.socket).unlink(missing_ok=True)
                if not Path(card.session).exists():
                    shutil.rmtree(job, ignore_errors=True)
    for parent in _ring_parents():
        for folder in parent.glob("*"):
            with contextlib.suppress(OSError):  # a job that ends now takes its own away
                if folder.name not in known and time.time() - folder.stat().st_mtime > _DAY:
                    shutil.rmtree(folder, ignore_errors=True)
