"""Probes: they make metrics inside the training process, and never harm it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from . import existing
from .hooks import Patches
from .watch import Watch

_watch: Watch | None = None


def install(settings: dict[str, Any]) -> Patches:
    """Put the probes on torch, which has just been imported. ``settings`` as in the boot folder's settings.json.

    Cheap: everything but the patches waits for the first backward pass of this process.
    """
    global _watch
    _watch = Watch(settings)
    return Patches(_watch)


def adopt(model: torch.nn.Module | None) -> None:
    """Find what was made before the probes were put on torch; ``model`` where it cannot be found."""
    if _watch is not None:
        existing.adopt(_watch, model)


def cell_begins() -> None:
    """A cell of a notebook is run."""
    if _watch is not None:
        _watch.probes.run("cell", _watch.segments.cell_begins)


def log(values: Mapping[str, Any]) -> None:
    """Record values of the script's own, if this process is watched: see ``user.User.log``."""
    if _watch is not None:
        _watch.user.log(values)
