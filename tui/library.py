"""What the screen can ask about other runs than the one it shows. The doors answer; here are only the questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nnwatch.history import History


@dataclass(frozen=True)
class RunRow:
    """One run as the list shows it; ``when`` is its start in seconds since 1970, ``path`` its session."""

    name: str
    status: str
    when: float
    last_step: int | None
    last_loss: float | None
    verdict: str
    path: str


@dataclass(frozen=True)
class Library:
    """Each may take a while and is called from a thread; ``read`` and ``compare`` raise ValueError with a line for the
    user where a recording cannot be read."""

    rows: Callable[[], list[RunRow]]
    """All runs there are, newest first."""
    read: Callable[[str], History]
    """What the session at a path tells so far."""
    compare: Callable[[Sequence[str]], str]
    """Two runs side by side, or more as a ledger, in lines."""
