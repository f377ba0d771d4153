"""`nnwatch wait`: blocks until a run has ended. It only looks; the run never notices."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from .card import Card, card_path
from .errors import RunError
from .folders import registries
from .follow import FileSource
from .frame import End
from .parser import SessionError

_PAUSE = 0.1
"""Seconds between two looks at a card."""


def wait(card: Card) -> int:
    """Exit code of the run: 128 + signal where a signal ended it.

    The card tells of a job of this machine, the growing file of one that is elsewhere. Raises RunError when
    the run is lost: how it ended is not known, and nobody is left to say.
    """
    while card.state == "running":
        time.sleep(_PAUSE)
        card = _again(card)
    card = _again(card)  # the end may have come between the card and the look at its processes
    if card.end is not None:
        return _code(card, **{key: card.end.get(key) for key in ("status", "exit", "signal")})
    end, why = _recorded_end(card, follow=card.state in ("elsewhere", "recorded"))
    if end is None:
        raise RunError(f"{card.name} is lost, its exit status is not known: {why}")
    return _code(card, end.status, end.exit, end.signal)


def _code(card: Card, status: Any, exit: int | None, signal: int | None) -> int:
    if signal:
        return 128 + signal
    if exit is None:
        raise RunError(f"{card.name} is {status}, its exit status is not known; see `nnwatch report {card.session}`")
    return exit


def _again(card: Card) -> Card:
    """The card as it is now; as it was, if it was removed under way."""
    beside = card_path(Path(card.session))
    jobs = [registry / card.id / "job.json" for registry in registries()] if card.id else []
    for path in (*jobs, beside):
        with contextlib.suppress(ValueError):
            now = Card.load(path)
            if now.id == card.id:
                if path == beside:
                    now.session = card.session  # it lies here, whatever its path is where it was written
                return now
    return card


def _recorded_end(card: Card, *, follow: bool) -> tuple[End | None, str]:
    """How the session says it ended, or why it does not; a file that may still grow is read on until it stops."""
    try:
        source = FileSource(card.session, follow=follow)
    except SessionError as error:
        return None, str(error)
    try:
        while True:
            for frame in source.read():
                if isinstance(frame, End):
                    return frame, ""
            if source.lost is not None:
                return None, source.lost
    finally:
        source.close()
