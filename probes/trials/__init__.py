"""Experiments with a script before it is trained, in its own process: `nnwatch check`.

The script runs as it is, watched as ever; after some steps it is stopped, and the experiments are made with what is
there then: the model, the loaders, one training step that was captured. Nothing is put back at the end, as the process
leaves by ``os._exit``.
"""

from __future__ import annotations

from typing import Any

from ..standby import Standby
from .rehearsal import Rehearsal
from .repeat import Repeat
from .rerun import Rerun

_ROLES: dict[str, type[Rehearsal] | type[Rerun] | type[Repeat]] = {
    "first": Rehearsal,
    "again": Rerun,
    "repeat": Repeat,
}
_rehearsal: Rehearsal | None = None


def begin(standby: Standby, settings: dict[str, Any]) -> None:
    """Called when the probes have been put on torch. ``settings``: ``role`` is which run of the script this is,
    the others are those of its class."""
    global _rehearsal
    role = _ROLES[settings["role"]](standby, settings)
    if isinstance(role, Rehearsal):
        _rehearsal = role
    role.begin()


def step(model: Any, loss_fn: Any, x: Any, y: Any) -> None:
    """``nnwatch.step``: the step that the experiments are to be made with."""
    if _rehearsal is not None:
        _rehearsal.take(model, loss_fn, x, y)
