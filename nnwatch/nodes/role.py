"""What a monitor is to the other nodes of its job; this one knows of none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..frame import Frame
from .line import Cursor


class Role:
    """The only node. ``read`` is asked at every flush."""

    def read(self, now: float) -> Iterable[Frame]:
        """What came from other nodes, and what became of them."""
        return ()

    def look(self) -> None:
        """Have the other nodes tell where their ranks are."""

    @property
    def looking(self) -> bool:
        """Whether one that was asked has not told yet, and can."""
        return False

    @property
    def seen(self) -> dict[str, Any]:
        """What they have told since, by rank."""
        return {}

    @property
    def cursors(self) -> dict[str, Cursor]:
        """How far the sessions of others were read, for the Commit."""
        return {}

    @property
    def awaited(self) -> bool:
        """Whether a node that is there has not told its end yet."""
        return False

    def leave(self, now: float) -> Iterable[Frame]:
        """The run ends: what there is to say of those who go on."""
        return ()

    def owed(self) -> bool:
        """After the end: whether the first node still lacks something that it could get."""
        return False

    def close(self) -> None:
        """The monitor ends."""
