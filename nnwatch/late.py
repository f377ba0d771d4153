"""`nnwatch attach --pid`: a Python process that is under way is asked to have itself watched. Standard library only.

Python 3.14 runs a file in another process's main thread, between two of its instructions (PEP 768,
``sys.remote_exec``); nothing is stopped and no debugger is needed. It has to be asked by an interpreter of the same
minor version: the one that the process runs. Whoever is older can only be told to change the script.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from . import folders, inside, runs, settings
from . import job as jobs
from .card import Card
from .errors import RunError
from .process import Process

PATIENCE = 60.0
"""Seconds until the process has to be back from a long call, such as one into a library that keeps Python waiting."""
_PYTHON = re.compile(r"python(\d[\d.]*)?t?")
_ASK = "import sys\nprint(*sys.version_info[:2], hasattr(sys, 'remote_exec'))"
_SEND = "import sys\nsys.remote_exec(int(sys.argv[1]), sys.argv[2])"
JOIN = """
def _nnwatch_joins(boot, job, hello):
    import json, os, sys
    try:
        if "torch" not in sys.modules:
            raise ImportError("it has not imported torch (yet)")
        sys.path.insert(0, boot)
        try:
            from nnwatch import inside
        finally:
            sys.path.remove(boot)
        inside.join(job)
    except Exception as error:
        with open(hello + ".new", "w") as file:
            json.dump({{"error": str(error)}}, file)
        os.replace(hello + ".new", hello)
_nnwatch_joins({boot!r}, {job!r}, {hello!r})
del _nnwatch_joins
"""
"""What the process runs. Its names are gone afterwards, and no exception leaves it."""


def attach(pid: int) -> Card:
    """Have a process watched from now on and return its run. Raises RunError where that cannot be."""
    python = _python(pid)
    target = Process.of(pid)
    known = _watched(target)
    if known is not None:
        return known
    version, able = _version(python, pid)
    if not able:
        raise RunError(
            f"process {pid} runs Python {version}, and only from 3.14 on can a running Python be asked anything: add"
            f" `import nnwatch; nnwatch.watch()` to the script, or start it with `nnwatch run {_script(pid)}`"
        )
    name, own = jobs.default_name([_script(pid)]), settings.read(Path.cwd())
    job = jobs.prepare(_words(pid), python=python, name=name, settings=own, late=True)
    card = Card.load(job / "job.json")
    card.launcher = card.trainer = target
    card.save(job / "job.json")
    try:
        _send(python, pid, job, target)
    except BaseException:
        jobs.clear(job, jobs.options(job)["rings"])
        shutil.rmtree(job, ignore_errors=True)
        raise
    inside.start_monitor(job)
    return card


def _python(pid: int) -> str:
    """Path of the interpreter that a process runs."""
    try:
        owner = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        raise RunError(f"there is no process {pid}; `pgrep -af python` lists those of Python") from None
    if owner != os.getuid():
        with contextlib.suppress(KeyError):
            raise RunError(f"process {pid} belongs to {pwd.getpwuid(owner).pw_name}; only they can attach to it")
        raise RunError(f"process {pid} belongs to user {owner}; only they can attach to it")
    try:
        path = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
    except OSError:
        raise RunError(f"process {pid} has ended, or does not let itself be looked at") from None
    if not _PYTHON.fullmatch(os.path.basename(path)):
        raise RunError(f"process {pid} is no Python: it runs {path}")
    return path


def _watched(target: Process) -> Card | None:
    """The run that the process is part of already."""
    for card in runs.runs():
        job = next((registry / card.id for registry in folders.registries() if (registry / card.id).exists()), None)
        said_hello = job is not None and (job / "hello" / f"{target.pid}-{target.start}").exists()
        if card.state == "running" and (said_hello or target in (card.trainer, card.launcher)):
            return card
    return None


def _version(python: str, pid: int) -> tuple[str, bool]:
    """Of the interpreter, and whether it can be asked to run something."""
    told = _run([python, "-I", "-S", "-c", _ASK]).stdout.split()
    if len(told) != 3:
        raise RunError(f"process {pid} runs {python}, which does not say what Python it is")
    return ".".join(told[:2]), told[2] == "True"


def _words(pid: int) -> list[str]:
    """The command line, as far as it is text."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    return [word for word in words if word.isprintable()] or [str(pid)]


def _script(pid: int) -> str:
    """What is run: the first word that names a Python file, else what follows the interpreter."""
    words = _words(pid)
    return next((word for word in words if word.endswith(".py")), words[1] if len(words) > 1 else words[0])


def invitation(job: Path, target: Process) -> tuple[Path, Path]:
    """What the process is to run, and the file in which it answers."""
    hello = job / "hello" / f"{target.pid}-{target.start}"
    script = job / "boot" / "join.py"
    script.write_text(JOIN.format(boot=str(job / "boot"), job=str(job), hello=str(hello)))
    return script, hello


def _send(python: str, pid: int, job: Path, target: Process) -> None:
    """Ask, and wait for the answer. Raises RunError."""
    script, hello = invitation(job, target)
    asked = _run([python, "-I", "-S", "-c", _SEND, str(pid), str(script)])
    if asked.returncode:
        why = (asked.stderr.strip().splitlines() or ["no reason was given"])[-1].removeprefix("RuntimeError: ")
        hint = "; the kernel lets no process look into another (kernel.yama.ptrace_scope)" if "ermi" in why else ""
        raise RunError(f"process {pid} cannot be asked: {why}{hint}")
    answer = _answer(hello, target)
    if answer is None:
        script.write_text("")  # it may still come to it
        raise RunError(f"process {pid} ended, or was in one long call for {PATIENCE:.0f} s; try again")
    if answer.get("error"):
        raise RunError(f"process {pid} cannot be watched: {answer['error']}")


def _answer(hello: Path, target: Process) -> dict[str, Any] | None:
    deadline = time.monotonic() + PATIENCE
    told = False
    while time.monotonic() < deadline and target.alive:
        if hello.exists():
            answer: dict[str, Any] = json.loads(hello.read_text())
            return answer
        if not told and time.monotonic() > deadline - PATIENCE + 2:
            told = True
            print("nnwatch: waiting until the process is back from a long call ...", file=sys.stderr)
        time.sleep(0.05)
    return None


def _run(words: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise RunError(f"{words[0]}: cannot be run: {error}") from None
