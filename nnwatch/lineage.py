"""Which run a training goes on from: checkpoints are remembered in the card of the run that saved them, and a scheduler
that starts a job again says so (`restart.py`)."""

from __future__ import annotations

from . import runs
from .card import Card
from .frame import Event, Frame

KEPT = 64
"""Checkpoints remembered for a run, the newest."""


def link(frame: Frame, card: Card) -> str:
    """Remember a checkpoint that ``card``'s run saved; give a ``resumed`` fact the session that saved its checkpoint.

    A file that was written again since then, by anyone, is another checkpoint: its size or time has changed. What the
    user is told: which run it goes on from, "" where nothing was found.
    """
    if not isinstance(frame, Event):
        return ""
    data = frame.data
    if frame.name == "checkpoint.saved" and "size" in data:
        card.checkpoints.pop(data["path"], None)
        card.checkpoints[data["path"]] = [data["size"], data["modified"]]
        for path in list(card.checkpoints)[:-KEPT]:
            del card.checkpoints[path]
    elif frame.name == "facts" and isinstance(data.get("resumed"), dict):
        resumed = data["resumed"]
        state = [resumed.pop("size", None), resumed.pop("modified", None)]
        known = (card, *runs.runs())
        saver = next((each for each in known if each.checkpoints.get(resumed["path"]) == state), None)
        resumed["session"] = saver.session if saver is not None else None
        if saver is not None and saver.id != card.id and not card.continues:
            card.continues = saver.id
            return f"it goes on from step {frame.step:,}, with a checkpoint of {_named(saver)}"
    return ""


def restarted(card: Card) -> str:
    """What the user is told of a job that was started again; "" of any other."""
    before = next((each for each in runs.runs() if card.continues and each.id == card.continues), None)
    if before is None:
        return ""
    step = before.last_step or 0
    return f"start {card.start + 1} of this Slurm job; before it was {_named(before)}, up to step {step:,}"


def _named(card: Card) -> str:
    return f"run {card.id} ({card.name})"
