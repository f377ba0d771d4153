"""One framework: patches on the methods where its own numbers pass, and what they say, told to the watch."""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from .around import after
from .arrivals import Then
from .standby import Standby

if TYPE_CHECKING:
    from .watch import Watch

Told = Callable[..., None]


class Framework(ABC):
    """``undo`` takes what removes the patches. An error of ours ends in ``Probes.run``."""

    name: str

    def __init__(self, standby: Standby, undo: list[Callable[[], None]]) -> None:
        self._standby = standby
        self._undo = undo

    @property
    def watch(self) -> Watch:
        return self._standby.watch

    @abstractmethod
    def modules(self) -> dict[str, Then]:
        """What to do with its modules, by their names, when the user's code imports them."""

    def after(self, owner: Any, method: str, told: Told) -> None:
        """Have ``told(self, *args, **kwargs)`` called after each call of a method."""
        self.around(owner, method, _nothing, told)

    def before(self, owner: Any, method: str, told: Told) -> None:
        self.around(owner, method, told, _nothing)

    def around(self, owner: Any, method: str, before: Told, after: Told) -> None:
        original = getattr(owner, method)
        run = self._standby.probes.run

        @functools.wraps(original)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            run("framework", lambda: before(*args, **kwargs))
            result = original(*args, **kwargs)
            run("framework", lambda: after(*args, **kwargs))
            return result

        self._put(owner, method, wrapper)

    def follow(self, owner: Any, method: str, told: Told) -> None:
        """Have ``told(result, *args, **kwargs)`` called after each call of a method or function."""
        self._put(owner, method, after(self._standby, getattr(owner, method), told))

    def _put(self, owner: Any, method: str, patch: Any) -> None:
        original = getattr(owner, method)
        setattr(owner, method, patch)
        self._undo.append(lambda: setattr(owner, method, original))

    def logs(self, values: Iterable[tuple[str, Any]]) -> None:
        """Numbers of its own log; words are left out."""
        self.watch.user.log({name: value for name, value in values if not isinstance(value, bool | str | None)})

    def drives(self, said: str = "", steps: float = 0, epochs: int | None = None) -> None:
        """It drives the loop, for so many optimizer ``steps`` (0, infinite or negative: it does not say) or epochs, as
        ``said``."""
        self.watch.script.driven(self.name, int(steps) if 0 < steps < math.inf else None, said, epochs)

    def trains(self, *args: Any, **kwargs: Any) -> None:
        """From now on it trains."""
        self.watch.phase("train")

    def validates(self, *args: Any, **kwargs: Any) -> None:
        self.watch.phase("val")


def _nothing(*args: Any, **kwargs: Any) -> None:
    pass
