"""What the coming steps are expected to be like, for the lane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from .groups import NAN

if TYPE_CHECKING:
    import weakref

    import torch

    from .emit import Schema
    from .source import Place


class Plan(NamedTuple):
    """What the coming steps are like: their optimizers, of which ``together`` step after the same backward pass;
    whether ``many`` passes may come before, and many loss calls before a pass. ``sites`` has the numbers of the lines
    that call a loss function, by its name and the place, and ``terms`` is the schema of their record where there are
    several. ``small`` is the parameter whose gradient is looked at in each step of which the calls are kept."""

    schema: Schema
    optimizers: tuple[weakref.ref[torch.optim.Optimizer], ...]
    together: int
    many: bool
    terms: Schema | None
    sites: Mapping[tuple[str, Place], int]
    small: weakref.ref[torch.Tensor] | None

    def averages(self, taken: list[tuple[int, float]]) -> list[float]:
        """Of each line's calls, given by their line's number and value; NaN where there was none."""
        assert self.terms is not None
        found: list[list[float]] = [[] for _ in range(widths(self.terms)[0])]
        for site, value in taken:
            found[site].append(value)
        return [sum(values) / len(values) if values else NAN for values in found]


def widths(schema: Schema) -> tuple[int, int]:
    """Numbers in a record, and learning rates among them."""
    rates = next((field.width for field in schema.fields if field.metric == "lr"), 0)
    return sum(field.width for field in schema.fields), rates
