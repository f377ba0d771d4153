"""One run of the script in a process group of its own, from its start to its end."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import RunError
from ..folders import write_json
from ..job import environment
from .enclosure import Enclosure
from .held import Held
from .told import Told

SILENT_LOGGERS = {
    "CLEARML_OFFLINE_MODE": "1",
    "COMET_MODE": "DISABLED",
    "DISABLE_MLFLOW_INTEGRATION": "TRUE",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "NEPTUNE_MODE": "debug",
    "SWANLAB_MODE": "disabled",
    "WANDB_MODE": "disabled",
}
"""Environment in which the trackers that people use record nothing."""
UNCOMPILED = {"TORCH_COMPILE_DISABLE": "1"}
"""A few hundred steps are made sooner than a model is compiled, and then its layers can be looked into."""
_TICK = 0.05
_GRACE = 3.0
"""Seconds between the last word of a run and the end of its process group."""
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def prepare(job: Path, role: str, settings: dict[str, Any]) -> Path:
    """A folder like that of a job, for a further run of the script: its numbers are nobody's but the conductor's."""
    place = job / role
    (place / "hello").mkdir(parents=True)
    (place / "rings").mkdir()
    shutil.copytree(job / "boot", place / "boot", symlinks=True)
    boot = json.loads((job / "boot" / "settings.json").read_text())
    boot |= {"job": str(place), "rings": [str(place / "rings")], "ring_bytes": 1 << 20, "check": settings}
    write_json(place / "boot" / "settings.json", boot)
    return place


class Child:
    """``place`` holds its boot folder, and what it prints."""

    def __init__(self, place: Path, command: list[str], enclosure: Enclosure) -> None:
        self._log = log = place / "console"
        self._words = Told(place / "told")
        self._held = Held(place / "told.held")
        self._parent = os.getpid()
        env = environment(place, console=True)
        with log.open("ab") as file:
            try:
                self._process = subprocess.Popen(
                    [*enclosure.words, *command],
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    env=env | SILENT_LOGGERS | UNCOMPILED | enclosure.environment,
                    start_new_session=True,
                    preexec_fn=self._follow,
                )
            except OSError as error:
                self._held.close()
                raise RunError(f"{command[0]}: cannot be started: {error.strerror}") from None

    def _follow(self) -> None:
        """Whatever ends the conductor ends it."""
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != self._parent:
            os._exit(1)

    def wait(self, seconds: float, hear: Callable[[dict[str, Any]], None]) -> int | None:
        """Until it has ended, or has said its last word; ``hear`` gets each word. Its exit code, or minus the signal;
        None if it had to be ended after ``seconds``."""
        deadline = time.monotonic() + seconds
        try:
            while self._process.poll() is None and time.monotonic() < deadline:
                for word in self._words.read():
                    hear(word)
                    if "left" in word:
                        deadline = min(deadline, time.monotonic() + _GRACE)
                time.sleep(_TICK)
            code = self._process.poll()
            for word in self._words.read():
                hear(word)
            return code
        finally:
            self.end()

    def end(self) -> None:
        """The whole group, and ranks in groups of their own, as torchrun has them: when those above them are gone they
        are this process's children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        while children := _children():
            for pid in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        self._held.close()

    @property
    def printed(self) -> str:
        return self._log.read_text(errors="replace")


def adopt() -> None:
    """From now on processes below this one whose parents have ended are its children (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _children() -> list[int]:
    mine = str(os.getpid())
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if path.read_text(errors="replace").rpartition(") ")[2].split()[1] == mine:
                found.append(int(path.parent.name))
    return found
