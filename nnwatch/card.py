"""The card that lies beside each session: small JSON that says who runs, where, since when, and how it ended.

One of another host or pid namespace is *elsewhere*: its processes cannot be seen from here, so it is never called
lost. Standard library only, the launcher needs it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .folders import write_json
from .process import Process, here

SUFFIX = ".nnw"
CARD_SUFFIX = ".run.json"
_SILENT = 60.0
"""Seconds without a word after which a run without an end is over."""


@dataclass
class Card:
    """One run; ``check``: one of ``nnwatch check``. ``latest``, ``end``, ``listen`` (where it can be had over TCP) and
    ``checkpoints`` are the monitor's.

    ``latest``: time, step, loss, and rule and severity of the primary finding. ``end``: status, exit, signal,
    time, and the worst severity of any finding. ``checkpoints``: size in bytes and time of change in nanoseconds of
    the newest files it saved, by path, so that a run that goes on from one finds this one. ``format`` is that of a log
    of another tool, which ``session`` is the path of then. ``joins``: the first node's address, where this is another.
    ``group`` is the same for all nodes of one job, "" where there is one, and ``node`` the number of this one.
    ``continues`` is the id of the run that this one goes on from; ``job`` and ``start``: of a scheduler's job, which
    start it is (`restart.py`); ``until``: when the time of the job ends, where that is known.
    """

    id: str
    name: str
    session: str
    command: list[str]
    cwd: str
    started: float
    python: str = ""
    headless: bool = True
    check: bool = False
    host: str = ""
    boot: str = ""
    namespace: str = ""
    socket: str = ""
    listen: str = ""
    joins: str = ""
    group: str = ""
    node: int = 0
    job: str = ""
    start: int = 0
    until: float = 0.0
    continues: str = ""
    attach: str = ""
    format: str = ""
    launcher: Process | None = None
    trainer: Process | None = None
    monitor: Process | None = None
    latest: dict[str, Any] = field(default_factory=dict)
    end: dict[str, Any] | None = None
    checkpoints: dict[str, list[int]] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """``running``, ``elsewhere``, ``lost``, ``recorded``, or how it ended: ``finished``, ``failed``, ``killed``."""
        if self.end is not None:
            return str(self.end.get("status", "lost"))
        if not self.id:  # a session whose card is not there
            return "recorded"
        place = here()
        if self.host != place["host"]:
            return "elsewhere"
        if self.boot != place["boot"]:
            return "lost"
        if self.namespace != place["namespace"]:
            return "elsewhere"
        processes = (self.trainer, self.launcher, self.monitor)
        return "running" if any(p is not None and p.alive for p in processes) else "lost"

    @property
    def last_step(self) -> int | None:
        step = self.latest.get("step")
        return step if isinstance(step, int) else None

    @property
    def last_loss(self) -> float | None:
        """Not finite ones are words in the card, as JSON has no number for them."""
        loss = self.latest.get("loss")
        return float(loss) if isinstance(loss, int | float) or loss in ("nan", "inf", "-inf") else None

    def save(self, path: Path) -> None:
        write_json(path, dataclasses.asdict(self))

    @classmethod
    def load(cls, path: Path) -> Card:
        """Raises ValueError for anything that is no card: cards lie in folders that others may write to."""
        try:
            data = json.loads(path.read_text())
            known = {f.name: data[f.name] for f in dataclasses.fields(cls) if f.name in data}
            for role in ("launcher", "trainer", "monitor"):
                known[role] = Process(**known[role]) if known.get(role) else None
            card = cls(**known)
            for text in (card.id, card.name, card.session, card.host, card.socket, card.listen, *card.command):
                if not isinstance(text, str) or not text.isprintable():
                    raise ValueError("a text is none")
            card.started = float(card.started)
            if not all(isinstance(part, dict) for part in (card.latest, card.end or {}, card.checkpoints)):
                raise ValueError("a part is none")
        except (OSError, TypeError, KeyError, AttributeError, ValueError) as error:
            raise ValueError(f"{path} is no run card: {error}") from None
        return card


def card_path(session: Path) -> Path:
    return session.with_name(session.name.removesuffix(SUFFIX) + CARD_SUFFIX)


def precedence(card: Card) -> tuple[bool, int, float, str]:
    """The first node of a job is that whose card has the least."""
    return bool(card.joins), card.node, card.started, card.id


def together(one: Card, other: Card) -> bool:
    """Whether two runs are nodes of one job: an earlier run of the same command is another job."""
    return bool(one.group) and one.group == other.group and not (_over(one, other) or _over(other, one))


def _over(one: Card, other: Card) -> bool:
    """Whether a run had ended, or fallen silent for good, before another began."""
    newest = float((one.end or one.latest).get("time") or one.started)
    return newest < other.started - (0.0 if one.end is not None else _SILENT)


def leading(cards: Iterable[Card]) -> list[Card]:
    """Without those that are a further node of a job whose first node, which has all of it, is there too."""
    cards = list(cards)
    grouped: dict[str, list[Card]] = {}
    for card in cards:
        grouped.setdefault(card.group, []).append(card)

    def led(card: Card) -> bool:
        least = precedence(card)
        return any(precedence(other) < least and together(card, other) for other in grouped[card.group])

    return [card for card in cards if not (card.group and led(card))]


def newest(cards: Iterable[Card]) -> list[Card]:
    """Without those that another one of the same name goes on from."""
    cards = list(cards)
    over = {(card.name, card.continues) for card in cards}
    return [card for card in cards if (card.name, card.id) not in over]
