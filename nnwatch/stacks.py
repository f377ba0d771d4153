"""Where every rank of a job is: the Python stack of each process's main thread, read from outside by py-spy.

Nothing is asked of the trainer: no signal, no thread, no handler; its memory is read, which the kernel allows a parent
(and what the trainer lets look, see `boot/sitecustomize.py`), and it is not even paused. A stack that changes while it
is read may come out wrong, so this is for trainings that stand still, or for more than one look.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .card import Card
from .errors import RunError
from .folders import find_job, write_json

if TYPE_CHECKING:
    from .history import History

ASKED = "stacks"
"""File in the job folder by which somebody asks the monitor for them."""
_ANSWER = "stacks.json"
_PATIENCE = 5.0
_DEEPEST = 40
_COLLECTIVE = ("torch/distributed/",)
_LOADER = ("torch/utils/data/",)
_BACKWARD = ("torch/autograd/",)
_LIBRARY = (
    "/site-packages/",
    "/dist-packages/",
    "/lib/python",
    "<frozen ",
    "/boot/nnwatch/",
    str(Path(__file__).parent),
)
"""Files that are not the user's; the probes lie in the last two."""


class Frame(NamedTuple):
    """One call of a stack."""

    function: str
    file: str
    line: int

    @property
    def place(self) -> str:
        return f"{Path(self.file).name}:{self.line} in {self.function}"


def ranks(history: History) -> dict[int, int]:
    """The process of this node that trains as each rank, from the newest segment of each."""
    newest: dict[int, Any] = {}
    for track in history.tracks.values():
        segment = track.segment
        if segment.rank not in newest or segment.time >= newest[segment.rank].time:
            newest[segment.rank] = segment
    return {rank: segment.pid for rank, segment in sorted(newest.items()) if segment.node == 0}


def ask(card: Card, patience: float = 20.0) -> dict[str, Any]:
    """What the monitor of a running job answers. Raises RunError where it cannot."""
    job, elsewhere = find_job(card.id), card.state == "elsewhere"
    there = f"{card.name} runs on {card.host}; ask there: nnwatch stacks {card.id}"
    if elsewhere and job is None:
        raise RunError(there)
    if job is None or not (elsewhere or card.state == "running"):
        raise RunError(f"{card.name} is {card.state}: only a running job has stacks; for its end see nnwatch report")
    answer = job / _ANSWER
    answer.unlink(missing_ok=True)
    request(job)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            told: dict[str, Any] = json.loads(answer.read_text())
            return told
        time.sleep(0.05)
    if elsewhere:
        raise RunError(f"its monitor did not answer within {patience:.0f} s: {there}")
    raise RunError(f"the monitor of {card.name} did not answer within {patience:.0f} s; see {job / 'monitor.log'}")


def request(job: Path) -> None:
    """Have the monitor of a job look where its ranks are."""
    (job / ASKED).touch()


def asked(job: Path) -> bool:
    """Whether somebody asks."""
    try:
        (job / ASKED).unlink()
    except OSError:
        return False
    return True


def answer(job: Path, said: Mapping[str, Any]) -> None:
    """What whoever asked waits for."""
    write_json(job / _ANSWER, dict(said))


def look(pids: Mapping[int, int]) -> dict[str, Any]:
    """Where every rank is and what it waits for, by rank."""
    found = {}
    for rank, (frames, why) in zip(pids, _all(pids.values()), strict=True):
        stack = [list(frame) for frame in frames[:_DEEPEST]]
        found[str(rank)] = {"pid": pids[rank], "waits": waits(frames), "at": _place(frames), "stack": stack, "why": why}
    return found


def event(found: Mapping[str, Any]) -> dict[str, Any]:
    """What the event `stacks` says: where the ranks are, and who holds the others up."""
    ordered = dict(sorted(((int(rank), one) for rank, one in found.items())))
    return {"ranks": {str(rank): one for rank, one in ordered.items()}, "said": said(ordered)}


def waits(frames: list[Frame]) -> str:
    """``collective``, ``backward``, ``data``, ``code`` (the user's or a library's), or "" where nothing is known."""
    for frame in frames:
        if any(part in frame.file for part in _COLLECTIVE):
            return "collective"
        if any(part in frame.file for part in _LOADER):
            return "data"
        if any(part in frame.file for part in _BACKWARD):
            return "backward"
    return "code" if frames else ""


def said(ranks: Mapping[int, Mapping[str, Any]]) -> str:
    """Who waits for whom, in a line; "" where the stacks do not tell.

    A backward pass counts as waiting: data-parallel gradients are averaged in it.
    """
    known = {rank: one for rank, one in ranks.items() if one["waits"]}
    waiting = [rank for rank, one in known.items() if one["waits"] in ("collective", "backward")]
    holding = [rank for rank in known if rank not in waiting]
    if len(known) < 2:
        return "; ".join(f"it is at {one['at']}" for one in known.values())
    if not waiting:
        return "no rank waits for another"
    if not holding:
        return "all ranks wait in a collective or a backward pass: look for one that skipped a collective"
    what = {"data": "waits for its data", "code": "is in its own code"}
    host = {rank: f" on {one['host']}" if one.get("host") else "" for rank, one in known.items()}
    who = "; ".join(f"rank {r}{host[r]} {what[known[r]['waits']]} at {known[r]['at']}" for r in holding[:4])
    return f"{who}; {_ranks(waiting)} for it" if len(holding) == 1 else f"{who}; {_ranks(waiting)} for them"


def _ranks(waiting: list[int]) -> str:
    named = ", ".join(map(str, waiting[:4])) + (f" and {len(waiting) - 4} more" if len(waiting) > 4 else "")
    return f"rank {named} waits" if len(waiting) == 1 else f"ranks {named} wait"


def _place(frames: list[Frame]) -> str:
    """The innermost call of the user's own code, else of any."""
    own = [frame for frame in frames if not any(part in frame.file for part in _LIBRARY)]
    return (own or frames)[0].place if frames else ""


def _all(pids: Iterable[int]) -> list[tuple[list[Frame], str]]:
    """Of each process the main thread's frames, innermost first, or why they are not to be had."""
    tool = _tool()
    if tool is None:
        return [([], "py-spy is not installed beside nnwatch: pip install py-spy") for _ in pids]
    command = [tool, "dump", "--nonblocking", "--json", "--pid"]
    pipe = subprocess.PIPE
    running = [(pid, subprocess.Popen([*command, str(pid)], stdout=pipe, stderr=pipe, text=True)) for pid in pids]
    found = []
    for pid, process in running:
        try:
            out, err = process.communicate(timeout=_PATIENCE)
            found.append(_read(pid, out, err))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            found.append(([], f"not read within {_PATIENCE:.0f} s"))
    return found


def _tool() -> str | None:
    """py-spy as it was installed with nnwatch, else the one on the path."""
    beside = Path(sysconfig.get_path("scripts")) / "py-spy"
    near = Path(sys.executable).parent / "py-spy"
    return next((str(path) for path in (near, beside) if path.exists()), shutil.which("py-spy"))


def _read(pid: int, out: str, err: str) -> tuple[list[Frame], str]:
    try:
        threads = json.loads(out)
        main = next((thread for thread in threads if thread["os_thread_id"] == pid), threads[0])
        frames = [Frame(str(one["name"]), str(one["filename"]), int(one["line"])) for one in main["frames"]]
    except (ValueError, KeyError, IndexError, TypeError):
        lines = [line for line in err.splitlines() if line.startswith("Error: ")]  # a backtrace may follow
        return [], lines[0].removeprefix("Error: ") if lines else "its memory could not be read"
    return frames, "" if frames else "it runs no Python"
