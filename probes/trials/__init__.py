"""Experiments with a script before it is trained, in its own process: `nnwatch check`.

The script runs as it is, watched as ever; after some steps it is stopped, and the experiments are made with what is
there then: the model, the loaders, one training step that was captured. Nothing is put back at the end, as the process
leaves by ``os._exit``.
"""

from __future__ import annotations

from typing import Any

from ..standby import Standby
from .rehearsal import Rehearsal


def begin(standby: Standby, settings: dict[str, Any]) -> None:
    """Called when the probes have been put on torch. ``settings``: ``told`` the file that is told, ``steps`` as it is,
    ``until`` when at the latest (seconds since 1970)."""
    Rehearsal(standby, settings).begin()
