"""Why there is nothing to see, where there is nothing: one line each, recorded and said once."""

from __future__ import annotations

import json
from operator import itemgetter
from pathlib import Path
from typing import Any

from .history import History

LATE = (
    "it was under way when nnwatch came: not known are the first loss and all steps before, the seeds, which"
    " checkpoint was loaded, and the lines that made model, optimizer and schedule; the data loader is known from its"
    " next pass on; steps are counted as the optimizer's state does (Adam), or from here"
)


def unseen(job: Path) -> str:
    """Why no process of the job has opened a ring, as far as what the boot files left in ``JOB/hello`` says."""
    hellos = _hellos(job)
    for hello in hellos:
        if hello.get("error"):
            return f"the probes could not be put on torch {hello.get('torch')}: {hello['error']}; it trains unwatched"
    if hellos:
        return "saw torch, but no backward pass: nothing was trained in a process that imported torch itself"
    return (
        "saw no torch import: the command does not use torch, or its Python runs with -I, -E or -S or in an"
        " environment that drops PYTHONPATH; start the training itself with `nnwatch run`"
    )


def raised(job: Path) -> dict[str, str] | None:
    """The exception that ended a process before it trained; of several the first, a launcher ends last."""
    return next((hello["exception"] for hello in _hellos(job) if "exception" in hello), None)


def _hellos(job: Path) -> list[dict[str, Any]]:
    """By the time of what was said last."""
    found = []
    for path in (job / "hello").glob("*"):
        try:
            found.append((path.stat().st_mtime_ns, json.loads(path.read_text())))
        except (OSError, ValueError):
            continue
    return [hello for _, hello in sorted(found, key=itemgetter(0))]


def asked_for_input(history: History) -> str | None:
    """What to use instead, if the script ended because the screen had its keyboard."""
    tail = "".join(text.text for text in history.console[-20:])
    if "EOFError: EOF when reading a line" not in tail:
        return None
    return "the script asked for input, but the screen had the keyboard: use `nnwatch run --headless`"
