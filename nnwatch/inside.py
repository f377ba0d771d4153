"""`nnwatch.watch()`: a process that nobody launched for us has itself watched. Standard library only.

For notebooks and launchers of one's own. The process makes the job folder and starts the monitor, which is no child of
it: a tool beside the training must not be counted, waited for or interrupted with it. Nobody is the parent here, so the
process itself says at its end how it ended; one that did not come to say it was killed.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import folders, settings
from . import job as jobs
from .card import Card
from .errors import RunError
from .folders import write_json
from .nodes import group
from .process import Process, start_ticks

_NEEDED = ("msgspec", "psutil")
"""What the monitor needs besides numpy."""
_DETACHED = '"$@" &'
"""For sh: the shell is gone at once, and what it started is nobody's child."""

_job: Path | None = None


def watch(model: Any) -> None:
    """See ``nnwatch.watch``."""
    global _job
    if _job is not None:
        _keep(_job)
        return
    if _launched():
        return
    try:
        _job = _job_of_parent()
        if _job is None and os.environ.get("LOCAL_RANK", "0") == "0":
            _job = _start()
    except (RunError, OSError, subprocess.SubprocessError) as error:
        _say(f"{error}; it runs unwatched")
    if _job is not None:
        _patch(_job, model)


def end() -> None:
    """See ``nnwatch.end``."""
    with contextlib.suppress(OSError, ValueError):
        if _job is not None and Card.load(_job / "job.json").trainer == Process.of(os.getpid()):
            write_json(_job / "exit.json", {"exit": 0, "signal": None, "time": time.time()})


def _say(text: str) -> None:
    print(f"nnwatch: {text}", file=sys.stderr, flush=True)


def _launched() -> bool:
    """Is this a process of `nnwatch run`, whose boot folder puts the probes on torch?"""
    return any(
        all(os.path.exists(os.path.join(folder, name)) for name in ("sitecustomize.py", "settings.json", "nnwatch"))
        for folder in sys.path
    )


def _job_of_parent() -> Path | None:
    """The job of the process that started this one by multiprocessing, if that is watched."""
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is None:
        return None
    parent = multiprocessing.parent_process()
    # A spawned child imports the main script before it knows its parent.
    if parent is None and not getattr(multiprocessing.current_process(), "_inheriting", False):
        return None
    trainer = Process.of(parent.pid if parent is not None else os.getppid())
    for registry in folders.registries():
        for path in registry.glob("*/job.json"):
            with contextlib.suppress(ValueError):
                if Card.load(path).trainer == trainer and (path.parent / "boot").exists():
                    return path.parent
    return None


def _start() -> Path:
    """A job for this process, and its monitor. Raises RunError and OSError."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise RunError(f"{' and '.join(missing)} not installed here, which the monitor needs: pip install nnwatch")
    if importlib.util.find_spec("torch") is None:
        raise RunError(f"no torch in {sys.executable}")
    job = jobs.prepare(
        sys.orig_argv,
        python=sys.executable,
        name=jobs.default_name([_script()]),
        interactive=_interactive(),
        settings=settings.read(Path.cwd()),
        place=group.place(()),
    )
    card = Card.load(job / "job.json")
    card.launcher = card.trainer = Process.of(os.getpid())
    card.save(job / "job.json")
    atexit.register(_end, job, os.getpid())
    start_monitor(job)
    _say(f"watched from now on; see it with: {card.attach}")
    return job


def _interactive() -> bool:
    """A notebook or a prompt, where an exception ends no run."""
    return hasattr(sys, "ps1") or "IPython" in sys.modules


def _script() -> str:
    """What the run is named after."""
    notebook = os.environ.get("JPY_SESSION_NAME")
    if notebook:
        return Path(notebook).stem
    if _interactive():
        return "notebook"
    return sys.argv[0] if sys.argv and sys.argv[0] not in ("", "-", "-c") else "python"


def join(job: str) -> None:
    """This process, which is under way, belongs to a job that another one has made for it (`late.py`)."""
    global _job
    if _job is None:
        _job = Path(job)
        atexit.register(_end, _job, os.getpid())
        _patch(_job, None, under_way=True)


def start_monitor(job: Path) -> None:
    """It is nobody's child."""
    with open(os.devnull, "wb") as nowhere, (job / "monitor.log").open("ab") as log:
        voice = nowhere.fileno()
        subprocess.run(
            ["/bin/sh", "-c", _DETACHED, "sh", sys.executable, "-m", "nnwatch.monitor", str(job), str(voice)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=job,
            env=jobs.monitor_environment(),
            pass_fds=(voice,),
            start_new_session=True,
            check=True,
        )


def _keep(job: Path) -> None:
    """Start the monitor again if it died, and its job has not ended."""
    with contextlib.suppress(ValueError, OSError, subprocess.SubprocessError):
        card = Card.load(job / "job.json")
        if card.monitor is not None and not card.monitor.alive and card.end is None:
            start_monitor(job)


def _patch(job: Path, model: Any, *, under_way: bool = False) -> None:
    """Put the probes on torch, which may have been imported long ago."""
    import json

    import torch

    from . import probes

    hello = {"pid": os.getpid(), "start": start_ticks(os.getpid()), "torch": str(torch.__version__), "error": None}
    try:
        probes.install(json.loads((job / "boot" / "settings.json").read_text()))
        probes.adopt(model, under_way=under_way)
        _hear_cells(probes.cell_begins)
    except Exception as error:
        hello["error"] = f"{type(error).__name__}: {error}"
        _say(f"the probes could not be put on torch {torch.__version__}: {error}; it runs unwatched")
    write_json(job / "hello" / f"{hello['pid']}-{hello['start']}", hello)


def _hear_cells(told: Callable[[], None]) -> None:
    """A training cell that is run again is a training of its own."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None:
        shell.events.register("pre_run_cell", lambda *_: told())


def _end(job: Path, pid: int) -> None:
    """The interpreter ends by itself. Whether with an exception can be seen, with which exit status cannot."""
    if os.getpid() != pid:
        return  # a forked child's end
    raised = not _interactive() and (getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)) is not None
    with contextlib.suppress(OSError):
        write_json(job / "exit.json", {"exit": 1 if raised else None, "signal": None, "time": time.time()})
