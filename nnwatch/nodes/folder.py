"""The sessions of a job's other nodes, found in the folder that they share by the cards beside them."""

from __future__ import annotations

import time
from pathlib import Path

from ..card import CARD_SUFFIX, SUFFIX, Card, precedence, together

_EVERY = 5.0
_PATIENCE = 30.0
"""Seconds for which a node that has a number waits for those with lower ones before it counts as the first."""


class Folder:
    """Of the nodes whose cards name the same job as ``card``. Every node comes to the same first one by itself."""

    def __init__(self, card: Card) -> None:
        self.own = card
        self._folder = Path(card.session).parent
        self._strangers: set[Path] = set()
        self._began = time.monotonic()
        self._looked = -_EVERY
        self.first = card
        """As far as it is known."""

    def others(self) -> list[Card]:
        """Those that are to be taken in: none while this is not the first node, nor between two looks."""
        now = time.monotonic()
        if now - self._looked < _EVERY:
            return []
        self._looked = now
        found = [self.own]
        for path in self._folder.glob(f"*{CARD_SUFFIX}"):
            if path not in self._strangers:
                try:
                    card = Card.load(path)
                except ValueError:
                    continue  # it is being written, or is none
                if card.id == self.own.id or not together(self.own, card):
                    self._strangers.add(path)
                else:
                    card.session = str(path.with_name(path.name.removesuffix(CARD_SUFFIX) + SUFFIX))
                    found.append(card)
        self.first = min(found, key=precedence)
        early = self.own.node > 0 and now - self._began < _PATIENCE
        return found[1:] if self.first is self.own and not early else []
