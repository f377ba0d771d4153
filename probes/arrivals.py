"""Modules that are looked at when, and only if, the user's code imports them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

Then = Callable[[Any], None]


class Arrivals:
    """``wanted``: what to do with a module, by its name: at once where it is there already, else right after its
    import. Nothing is imported a moment earlier than the user does."""

    def __init__(self, wanted: Mapping[str, Then], failed: Callable[[Exception], None]) -> None:
        self._failed = failed
        self._wanted = dict(wanted)
        self._asking = False
        self._begun = [module for name in wanted if (module := sys.modules.get(name)) is not None]
        """Their import began before ours, and it may still be under way."""
        self._look()
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """What the other finders find, with a loader that tells of the module when it has been run."""
        if self._begun:
            self._look()
        if name not in self._wanted or self._asking:
            return None
        self._asking = True
        try:
            for finder in list(sys.meta_path):
                spec = finder.find_spec(name, path, target) if hasattr(finder, "find_spec") else None
                if spec is not None:
                    if spec.loader is not None:
                        spec.loader = _Loader(spec.loader, self._arrived)  # type: ignore[assignment]
                    return spec
        finally:
            self._asking = False
        return None

    def _look(self) -> None:
        for module in [module for module in self._begun if not getattr(module.__spec__, "_initializing", False)]:
            self._begun.remove(module)
            self._arrived(module)

    def _arrived(self, module: Any) -> None:
        then = self._wanted.pop(module.__name__, None)
        try:
            if then is not None:
                then(module)
        except Exception as error:
            self._failed(error)


class _Loader:
    """The module's own loader, and then ``arrived``."""

    def __init__(self, loader: Any, arrived: Then) -> None:
        self._loader = loader
        self._arrived = arrived

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._arrived(module)
