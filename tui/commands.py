"""What the command palette offers: everything that a key does here, for those who have no keys but the arrows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import Any

from textual.app import SystemCommand
from textual.binding import ActiveBinding

from nnwatch.history import History

from .screens.help import key_name
from .widgets.status import SCREENS

_OTHERWISE = ("Screens", "Commands")
"""Descriptions of keys that are no commands of their own."""

Run = Callable[[str, Any], Awaitable[Any]]


def commands(active: Iterable[ActiveBinding], run: Run) -> Iterator[SystemCommand]:
    """The screens, and one command for each action of the bindings, which ``run`` runs where it belongs."""
    for i, name in enumerate(SCREENS, 1):
        yield SystemCommand(f"Screen: {name}", f"Key {i}", _running(run, f"app.room('{name}')", None))
    seen = set()
    for place, binding, enabled, what in active:
        title = binding.description
        if enabled and title and title not in _OTHERWISE and not binding.system and binding.action not in seen:
            seen.add(binding.action)
            yield SystemCommand(
                title, f"Key {key_name(binding)}: {what or title}", _running(run, binding.action, place)
            )


def explanations(history: History, explain: Callable[[str], None]) -> Iterator[SystemCommand]:
    """A page for each rule that judged or could not, and for each metric of the run; found by their letters alone."""
    rules = {rule for judgement in history.judgements[-1:] for rule in (*judgement.judged, *judgement.abstained)}
    for kind, names in (("rule", rules), ("metric", set(history.main or ()))):
        for name in sorted(names):
            yield SystemCommand(f"Explain: {name}", f"The page of this {kind}", partial(explain, name), discover=False)


def _running(run: Run, action: str, place: Any) -> Callable[[], Awaitable[Any]]:
    return lambda: run(action, place)
