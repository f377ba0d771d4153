"""Probes: they make metrics inside the training process, and never harm it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from . import apart
from .hooks import Patches
from .standby import Standby

_standby: Standby | None = None
apart.remember()


def install(settings: dict[str, Any]) -> Patches:
    """Put the probes on torch, which has just been imported. ``settings`` as in the boot folder's settings.json.

    Cheap: what understands them is loaded by the first thing they see, and opens nothing before the first backward pass
    of this process.
    """
    global _standby
    _standby = Standby(settings)
    patches = Patches(_standby)
    if _standby.checked:
        from .trials import begin

        begin(_standby, settings["check"])
    return patches


def adopt(model: torch.nn.Module | None, *, under_way: bool = False) -> None:
    """Find what was made before the probes were put on torch; ``model`` where it cannot be found. ``under_way``: wait
    for the end of the step that may be half done."""
    if _standby is not None:
        from .existing import adopt

        adopt(_standby.watch, model, under_way=under_way)


def cell_begins() -> None:
    """A cell of a notebook is run."""
    if _standby is not None:
        _standby.probes.run("cell", lambda: _standby.watch.segments.cell_begins())


def log(values: Mapping[str, Any]) -> None:
    """Record values of the script's own, if this process is watched: see ``user.User.log``."""
    if _standby is not None:
        _standby.probes.run("user", lambda: _standby.watch.user.log(values))


def step(model: Any, loss_fn: Any, x: Any, y: Any) -> None:
    """What one training step is, for the experiments of a check; nothing in any other run."""
    if _standby is not None and _standby.checked:
        from . import trials

        _standby.probes.run("step", lambda: trials.step(model, loss_fn, x, y))
