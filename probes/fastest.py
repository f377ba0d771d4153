"""The fastest lane that there is: that in C (lane.c), where the extension was built, or the one in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import nested
from .lane import Lane
from .native import native
from .plan import Plan, widths
from .stages import Left, Said

if TYPE_CHECKING:
    from .emit import Emitter


def _native() -> type[Lane]:
    """All that is public is the same, and it publishes the same bytes."""
    assert native is not None
    base: Any = native.lane_type(nested.rows, Left, Said)

    class Native(base):  # type: ignore[misc]
        __slots__ = ()

        def open(self, emit: Emitter, plan: Plan, *more: Any) -> None:
            place, terms = emit.place(), plan.terms
            if place is None:
                return
            sites = tuple((name, *place, number) for (name, place), number in plan.sites.items())
            super().open(
                place, plan.schema.id, *widths(plan.schema), plan.optimizers, plan.together, plan.many,
                terms.id if terms is not None else 0, widths(terms)[0] if terms is not None else 0, sites, plan.small,
                *more,
            )  # fmt: skip

    found: type[Lane] = Native
    return found


Fastest: type[Lane] = Lane if native is None else _native()
