"""Where runs are found: the registry of jobs of this user, the cards beside sessions, and what a name means."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from .card import CARD_SUFFIX, SUFFIX, Card, card_path, leading, newest
from .errors import RunError
from .folders import registries, sessions_folder

_MAGIC = b"\x89NNW"
"""What a session begins with."""


def runs() -> list[Card]:
    """All runs known here, newest first: the registry's, and those whose card lies in ``sessions_folder()``."""
    jobs = (path for registry in registries() for path in registry.glob("*/job.json"))
    found: dict[str, Card] = {}
    for path in (*jobs, *sessions_folder().glob(f"*{CARD_SUFFIX}")):
        try:
            card = Card.load(path)
        except ValueError:
            continue
        if path.name != "job.json":  # the folder may have been moved or copied here
            beside = path.with_name(path.name.removesuffix(CARD_SUFFIX) + SUFFIX)
            card.session = str(beside)
        known = found.get(card.id)
        if known is None or not Path(known.session).exists():
            found[card.id] = card
    there = (card for card in found.values() if card.state == "running" or Path(card.session).exists())
    return sorted(there, key=lambda card: card.started, reverse=True)


def resolve(run: str | None, known: Iterable[Card] | None = None) -> Card:
    """The run that is meant: a path, an id, a name, a unique prefix of one, or None for the newest. Of a job of several
    nodes it is the first one's, of runs that go on from one another the newest, unless the id says another.

    A session without a card gets one made up from its path. Raises RunError when there is none, or several.
    """
    cards = list(runs() if known is None else known)
    if run is None:
        if not cards:
            raise RunError(
                f"no runs yet: none in {sessions_folder()} and none registered; start one: nnwatch run train.py"
            )
        return leading(cards)[0]
    path = Path(run)
    if run.endswith(SUFFIX) or os.sep in run or path.is_file():
        return _at(path.absolute(), cards)
    for match in (
        [card for card in cards if run in (card.id, card.name)],
        [card for card in cards if run and (card.name.startswith(run) or card.id.startswith(run))],
    ):
        match = match if run in [card.id for card in match] else newest(leading(match))
        if len(match) == 1:
            return match[0]
        if match:
            listed = "\n".join(f"  {card.id}  {card.state:9}  {card.name}  {card.session}" for card in match)
            raise RunError(f"{run!r} means {len(match)} runs; give the id or the path of one:\n{listed}")
    if run and path.is_dir():
        return _at(path.absolute(), cards)
    raise RunError(f"no run is called {run!r}; `nnwatch ls` lists them, a path to a session or a log works too")


def _session(path: Path) -> bool:
    """Whether a file is meant to be a session, by its name or first bytes; one that cannot be read says so later."""
    if path.name.endswith(SUFFIX):
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return True


def _at(path: Path, cards: list[Card]) -> Card:
    if not path.exists():
        raise RunError(f"{path}: no such session; `nnwatch ls` lists the runs")
    for card in cards:
        if Path(card.session) == path or (Path(card.session).exists() and path.samefile(card.session)):
            return card
    if path.is_dir() or not _session(path):
        from .logs import find

        return find.run(path)
    with contextlib.suppress(ValueError):
        card = Card.load(card_path(path))
        card.session = str(path)
        return card
    return Card(
        id="", name=path.name.removesuffix(SUFFIX), session=str(path), command=[], cwd="", started=path.stat().st_mtime
    )
