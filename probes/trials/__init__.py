"""Experiments with a script before it is trained, in its own process: `nnwatch check`.

The script runs as it is, watched as ever; after some steps it is stopped, and the experiments are made with what is
there then: the model, the loaders, one training step that was captured. Nothing is put back at the end, as the process
leaves by ``os._exit``.
"""

from __future__ import annotations

from typing import Any

from ..standby import Standby
from .rehearsal import Rehearsal
from .rerun import Rerun

_ROLES: dict[str, type[Rehearsal] | type[Rerun]] = {"first": Rehearsal, "again": Rerun}


def begin(standby: Standby, settings: dict[str, Any]) -> None:
    """Called when the probes have been put on torch. ``settings``: ``role`` is which run of the script this is,
    the others are those of its class."""
    _ROLES[settings["role"]](standby, settings).begin()
