"""All experiments that are made in the process of the script, in the order in which they are made."""

from __future__ import annotations

from .subject import Experiment

EXPERIMENTS: tuple[tuple[str, Experiment], ...] = ()
