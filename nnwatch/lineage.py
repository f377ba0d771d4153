"""Which run a training goes on from: checkpoints are remembered in the card of the run that saved them."""

from __future__ import annotations

from . import runs
from .frame import Event, Frame
from .runs import Card

KEPT = 64
"""Checkpoints remembered for a run, the newest."""


def link(frame: Frame, card: Card) -> None:
    """Remember a checkpoint that ``card``'s run saved; give a ``resumed`` fact the session that saved its checkpoint.

    A file that was written again since then, by anyone, is another checkpoint: its size or time has changed.
    """
    if not isinstance(frame, Event):
        return
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
        resumed["session"] = next(
            (each.session for each in known if each.checkpoints.get(resumed["path"]) == state), None
        )
