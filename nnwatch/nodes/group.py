"""What the launchers that exist say of the nodes of a job. Standard library only."""

from __future__ import annotations

import os

_NUMBERS = ("SLURM_NODEID", "GROUP_RANK", "NODE_RANK")


def number() -> int:
    """Of this node, counted from 0 as the launcher does; 0 where none says."""
    return next((int(text) for name in _NUMBERS if (text := os.environ.get(name, "")).isdecimal()), 0)
