"""Why a scheduler asks a job to end: Slurm knows, and the signal does not say. Standard library only.

A job at its time limit is sent SIGTERM, and what is left of it SIGKILL half a minute later, which also takes everything
that watches it. So the question is asked when SIGTERM comes, and the answer is recorded at once. Where the user's batch
script ends by SIGTERM, SIGKILL follows in a moment: then only the time that was given to the job at its start is known.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from pathlib import Path

from .restart import start

START, STOP = "slurm.start", "slurm.stop"
"""Files of the job folder: what Slurm said of the job then."""
_PATIENCE = 3.0
"""Seconds for the answer once the command has ended."""
_NEAR = 60.0
"""Seconds before the end of a job's time from which on its disappearance is put down to it."""
_WHY = {
    "TIMEOUT": "at its time limit",
    "TimeLimit": "at its time limit",
    "DEADLINE": "at its deadline",
    "CANCELLED": "because it was cancelled",
    "PREEMPTED": "because another job goes before",
    "NODE_FAIL": "because a node failed",
}
"""By state and by reason; a job whose processes have not all ended yet is in no other state than COMPLETING."""


class Question:
    """To Slurm, about the job that this process is part of; the answer goes to the folder ``job``."""

    def __init__(self, job: Path) -> None:
        self._job = job
        self._asked: dict[str, subprocess.Popen[bytes]] = {}

    def ask(self, moment: str) -> None:
        """Once at the START, by one node, where the environment does not tell; once when it is to STOP."""
        env = os.environ
        told = moment == START and ("SLURM_JOB_END_TIME" in env or env.get("SLURM_NODEID", "0") != "0")
        if not env.get("SLURM_JOB_ID") or told or moment in self._asked:
            return
        words = ["scontrol", "--oneliner", "show", "job", env["SLURM_JOB_ID"]]
        with contextlib.suppress(OSError), (self._job / moment).open("wb") as answer:
            self._asked[moment] = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=answer, stderr=subprocess.DEVNULL, start_new_session=True
            )

    def wait(self) -> None:
        """For what was asked last."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            for asked in self._asked.values():
                asked.wait(_PATIENCE)


def _answer(job: Path, moment: str) -> dict[str, str]:
    try:
        return dict(re.findall(r"(\w+)=(\S+)", (job / moment).read_text(errors="replace")))
    except OSError:
        return {}


def why(job: Path) -> str:
    """Why Slurm ends the job, in words; "" as long as it has not said so, or where it ends no job."""
    told = _answer(job, STOP)
    state = told.get("JobState", "")
    reason = _WHY.get(state) or _WHY.get(told.get("Reason", ""), "")
    if reason == _WHY["TIMEOUT"]:
        reason += f" of {told.get('TimeLimit', 'unknown length')}"
    elif told.get("Restarts", "").isdecimal() and int(told["Restarts"]) > start().number:
        reason = "to start it again"
    return f"Slurm ends job {told.get('JobId', '')} {reason}".rstrip() if reason or state == "COMPLETING" else ""


def until(job: Path) -> float:
    """When the time of the Slurm job ends, in seconds since 1970; 0 where that is not known."""
    given = os.environ.get("SLURM_JOB_END_TIME", "")
    if given.isdecimal():
        return float(given)
    with contextlib.suppress(ValueError, OverflowError):
        return time.mktime(time.strptime(_answer(job, START).get("EndTime", ""), "%Y-%m-%dT%H:%M:%S"))
    return 0.0


def gone(last: float, until: float) -> str:
    """Why a run was not heard any more after ``last``, where its job had time ``until`` then; "" if it had more."""
    if not until or last < until - _NEAR:
        return ""
    return f"the time of its Slurm job ended at {time.strftime('%H:%M:%S', time.localtime(until))}"
