"""Our modules in a process whose script has a package of its own called nnwatch: the boot file has taken them out of
``sys.modules`` again, so what is loaded later does not find them there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

PACKAGE = __name__.partition(".")[0]
_ours: dict[str, ModuleType] = {}


def remember() -> None:
    """The modules of that name are ours now."""
    _ours.update(_named())


@contextmanager
def present() -> Iterator[None]:
    """For this time an import finds ours."""
    if sys.modules.get(PACKAGE) is _ours[PACKAGE]:
        yield
        return
    theirs = _named()
    _replace(_ours)
    try:
        yield
    finally:
        remember()
        _replace(theirs)


def _named() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == PACKAGE}


def _replace(modules: dict[str, ModuleType]) -> None:
    for name in _named():
        del sys.modules[name]
    sys.modules.update(modules)
