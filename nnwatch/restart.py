"""A Slurm job that is started again (`scontrol requeue`, a preemption, a node that failed): the run it goes on from.

Slurm counts the starts of a job, so nobody has to guess. Standard library only, the launcher needs it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from . import runs
from .card import SUFFIX, Card


class Start(NamedTuple):
    """``job`` is the same text at every start of a job, "" where there is none; ``number`` counts them from 0."""

    job: str
    number: int


def start() -> Start:
    """Of the Slurm job that this process is part of."""
    env = os.environ
    if not env.get("SLURM_JOB_ID"):
        return Start("", 0)
    number = env.get("SLURM_RESTART_COUNT", "")
    cluster = env.get("SLURM_CLUSTER_NAME", "")
    return Start(f"slurm {cluster} {env['SLURM_JOB_ID']}", int(number) if number.isdecimal() else 0)


def before(own: Card) -> Card | None:
    """The newest run of the same command, on the same node of the job, at an earlier start of it."""

    def same(card: Card) -> bool:
        place = (card.job, card.node, card.cwd, card.command) == (own.job, own.node, own.cwd, own.command)
        return place and card.start < own.start

    return next((card for card in runs.runs() if own.start and same(card)), None)


def free(path: Path, number: int) -> Path:
    """Where start ``number`` writes its session, when an earlier one has written to ``path``."""
    return path.with_name(f"{path.name.removesuffix(SUFFIX)}.start-{number}{SUFFIX}")
