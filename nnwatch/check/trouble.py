"""Why a script could not be tried, in one line: what happened, and what to do."""

from __future__ import annotations

from pathlib import Path
from signal import Signals

_MOST = 300


def trouble(command: list[str], code: int | None, steps: int, printed: str) -> str:
    """``code``: the exit code of a run, minus the signal it died of, None if it was ended for the time it took;
    ``steps`` that it made, ``printed`` what it said."""
    name = next((Path(word).name for word in command if word.endswith(".py")), command[0])
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    last = lines[-1][:_MOST] if lines else "it printed nothing"
    after = f"after {steps:,} steps" if steps else "before its first training step"
    if code is None:
        if steps:
            return f"{name} was ended {after}: the experiments did not come to their end; give it more --minutes"
        return f"{name} made no training step in the time it had; give it more --minutes, or less data"
    if last.startswith("EOFError"):
        return f"{name} reads its standard input, and a check gives it none; give it what it asks for as an argument"
    if code == 2 and any(line.startswith("usage:") for line in lines):
        return f"{name} needs other arguments ({last}); they go behind its name: nnwatch check {name} ..."
    if code < 0:
        return f"{name} was ended by {Signals(-code).name} {after}: {last}"
    if code == 0 and not steps:
        return f"{name} ended without a training step: no backward pass of torch was seen; give the script that trains"
    if code == 0:
        return f"{name} ended {after} and left no time for experiments"
    return f"{name} failed with exit code {code} {after}: {last}"
