"""When the run of a script is over: of all ranks after the same step, by leaving the process as it stands."""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import suppress
from pathlib import Path

import torch

from ..standby import Standby


def rank() -> int:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank()
    return int(os.environ.get("RANK", "0"))


def several() -> bool:
    """Is this one of more than one rank?"""
    return (
        torch.distributed.is_available()
        and torch.distributed.is_initialized()
        and (torch.distributed.get_world_size() > 1)
    )


class End:
    """``told`` is the file that the conductor reads; beside it lie one that it holds while the run is wanted, and the
    word of the first rank for the others.

    A step of several ranks is over for none before each has come to its backward pass: when the first rank says after
    its step n that n + 1 is the last one, the others have not passed that one yet.
    """

    def __init__(self, told: str) -> None:
        self._last = Path(told + ".last")
        self._held = os.open(told + ".held", os.O_RDONLY)

    def after(self, step: int, wanted: bool) -> bool:
        """Is this the last step? ``wanted``: this process would have it so. Where the conductor is gone it is, of this
        process at once."""
        with suppress(BlockingIOError):
            fcntl.flock(self._held, fcntl.LOCK_SH | fcntl.LOCK_NB)
            os._exit(1)
        if not several():
            return wanted
        if wanted and rank() == 0 and not self._last.exists():
            new = self._last.with_suffix(".new")
            new.write_text(str(step + 1))
            new.rename(self._last)
        return self._last.exists() and step >= int(self._last.read_text())


def leave(standby: Standby) -> None:
    """Nothing of the script runs after this: no ``finally``, no checkpoint, no exit handler."""
    standby.watch.exit()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(0)
