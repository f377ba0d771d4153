"""Probes: they make metrics inside the training process, and never harm it."""

from __future__ import annotations

from typing import Any

from .hooks import Patches
from .watch import Watch


def install(settings: dict[str, Any]) -> Patches:
    """Put the probes on torch, which has just been imported. ``settings`` as in the boot folder's settings.json.

    Cheap: everything but the patches waits for the first backward pass of this process.
    """
    return Patches(Watch(settings))
