"""Which nodes belong together, by what the launchers that exist say. Standard library only."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import NamedTuple

_SLURM = ("JOB_ID", "STEP_ID", "RESTART_COUNT")
_ADDRESS = ("rdzv-id", "rdzv-endpoint", "master-addr", "master-port", "main-process-ip", "main-process-port")
_NODES = ("nnodes", "num-machines")
_RANK = ("node-rank", "machine-rank")
_OWN = (*_RANK, "local-addr")
"""What a node is told alone."""


class Place(NamedTuple):
    """A node of a job: ``job`` is the same text on all of its nodes, "" where there is one node or nobody says more;
    ``node`` its number from 0, also 0 where none is given."""

    job: str
    node: int


ALONE = Place("", 0)


def place(command: Sequence[str]) -> Place:
    """Of the command that this node runs: by a Slurm step, by what a rank is told in its environment (torchrun, Ray
    Train), or by the options that torchrun or accelerate will read."""
    env = os.environ
    several = env.get("SLURM_STEP_NUM_NODES", "1") not in ("", "1")
    if env.get("SLURM_JOB_ID") and env.get("SLURM_STEP_ID") and several:
        step = [env.get(f"SLURM_{name}", "") for name in _SLURM]
        return Place(_name("slurm", [*step, os.getcwd(), *_common(command)]), _number(env.get("SLURM_NODEID", "")))
    if env.get("MASTER_ADDR") and env.get("WORLD_SIZE", "1") != env.get("LOCAL_WORLD_SIZE", "1"):  # a rank itself
        job = [env["MASTER_ADDR"], env.get("MASTER_PORT", "")]
        return Place(_name("ranks", job), _number(env.get("GROUP_RANK", env.get("NODE_RANK", ""))))
    said = dict(_options(command))
    nodes = next((said[name] for name in _NODES if name in said), env.get("PET_NNODES", "1"))
    address = [said[name] for name in _ADDRESS if name in said]
    rank = next((said[name] for name in _RANK if name in said), env.get("NODE_RANK", ""))
    return Place(_name("launch", address) if address and nodes not in ("", "1") else "", _number(rank))


def _options(command: Sequence[str]) -> list[tuple[str, str]]:
    """``--name VALUE`` and ``--name=VALUE``, with hyphens for underscores."""
    found = []
    for word, following in zip(command, [*command, ""][1:], strict=True):
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            found.append((name.replace("_", "-"), value if equals else following))
    return found


def _common(command: Sequence[str]) -> list[str]:
    """The words that are the same on all nodes."""
    kept, own = [], False
    for word in command:
        name, equals, _ = word.removeprefix("--").replace("_", "-").partition("=")
        if not own and not (word.startswith("--") and name in _OWN):
            kept.append(word)
        own = not own and word.startswith("--") and name in _OWN and not equals
    return kept


def _name(kind: str, words: Sequence[str]) -> str:
    text = "\0".join(words).encode("utf-8", "surrogateescape")
    return f"{kind}-{hashlib.sha256(text).hexdigest()[:16]}"


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
