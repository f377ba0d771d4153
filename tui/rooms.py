"""The screens by name. All but the first are read when they are first shown: the first frame waits for none of them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from textual.screen import Screen

from .screens.overview import Overview
from .widgets.status import SCREENS


def _later(name: str) -> Callable[[], Screen[Any]]:
    def made() -> Screen[Any]:
        screen: Screen[Any] = getattr(import_module(f".screens.{name}", __package__), f"{name.capitalize()}Screen")()
        return screen

    return made


ROOMS: dict[str, str | Callable[[], Screen[Any]]] = {
    "overview": Overview,
    **{name: _later(name) for name in SCREENS[1:]},
}
