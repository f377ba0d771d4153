"""A run as plain text on standard output, where there is no screen or after one."""

from __future__ import annotations

import sys
from typing import Protocol

from .card import Card
from .frame import Console, Frame, Run
from .history import History
from .narrate import Narrator
from .report import Summary, headline, numbers


class Source(Protocol):
    lost: str | None

    def read(self) -> list[Frame]: ...
    def close(self) -> None: ...


def follow(source: Source, card: Card) -> History:
    """Tell what happens, line by line, until the run or its recording ends; Ctrl+C leaves."""
    history, narrator = History(), Narrator()
    next_step = 1
    try:
        while history.end is None and source.lost is None:
            for frame in source.read():
                history.apply(frame)
                if isinstance(frame, Run):
                    print(f"{frame.name} on {frame.host}: {' '.join(frame.command)}" if frame.host else frame.name)
                elif isinstance(frame, Console):
                    print(frame.text.lstrip("\r"), end="")
                for line in narrator.tell(frame):
                    print(line)
                if history.last_step >= next_step:  # dense at first, when most goes wrong
                    print(f"step {history.last_step:,}  {numbers(Summary(history, card))}{_via(source)}")
                    next_step = history.last_step * 5 // 4 + 10
            sys.stdout.flush()
    except KeyboardInterrupt:
        print()
    finally:
        source.close()
    print("\n".join(headline(Summary(history, card))))
    if source.lost is not None and history.end is None:
        print(f"no more can be read: {source.lost}")
    return history


def _via(source: Source) -> str:
    """How late a run is seen that another machine writes."""
    behind = getattr(source, "behind", None)
    return "" if behind is None else f"  (via shared file, {behind:.0f} s behind)"


def leave(history: History, card: Card) -> None:
    """What stays on the terminal when the screen is closed."""
    print("\n".join(headline(Summary(history, card))))
    if history.end is None and (card.state in ("running", "elsewhere") or not card.session):
        print(f"it goes on; come back with: {card.attach}")
    elif not card.session:  # it was far away
        print(f"see it again: {card.attach}")
    else:
        print(f"see it again: nnwatch replay {card.attach.removeprefix('nnwatch attach ') or card.session}")
