"""The record of a step: built for every step, so little is done twice."""

from __future__ import annotations

import struct
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch

from nnwatch.metric import Field

from .emit import Emitter, Schema
from .fetch import Fetch
from .groups import NAN, rates
from .loss import Value

Optimizers = Sequence["weakref.ref[torch.optim.Optimizer]"]


class Steps:
    """Publishes step records in the order of the steps, also while a loss is still on its way from a device."""

    def __init__(self, emit: Emitter, fetch: Fetch) -> None:
        self._emit = emit
        self._fetch = fetch
        self.schema = Schema(0, (), struct.Struct(""))
        """Of the last record."""
        self._shape: tuple[int, int] | None = None

    def publish(
        self,
        step: int,
        when: float,
        losses: tuple[Value, Value],
        optimizers: Optimizers,
        rows: int,
        seconds: float,
        loader: tuple[int, float] | None,
        scaler: tuple[int, Value] | None,
        late: Callable[[], Callable[[float], None]],
    ) -> None:
        """``losses`` are loss and root; ``loader`` the epoch and the seconds waited for its batches; ``scaler`` the
        steps it skipped and its factor. ``late()`` is called when the loss is not here yet, and what it gives back is
        called with the loss when it has come."""
        values = rates(optimizers[0]()) if len(optimizers) == 1 else [r for ref in optimizers for r in rates(ref())]
        groups = len(values)
        if loader is None:
            values += (rows or NAN, seconds)
        else:
            values += (rows or NAN, seconds, *loader)
        if scaler is not None:
            values += (scaler[0], scaler[1] if type(scaler[1]) is float else NAN)
        if self._shape != (groups, len(values)):
            self.schema = self._emit.schema("step", _fields(groups, loader is not None, scaler is not None))
            self._shape = (groups, len(values))
        loss, root = losses
        if type(loss) is float and type(root) is float and not self._fetch.waiting:
            self._emit.numbers(self.schema, step, when, loss, root, *values)
        else:
            late_losses = losses if scaler is None else (*losses, scaler[1])
            self._publish_later(self.schema, step, when, late_losses, values, late())

    def _publish_later(
        self,
        schema: Schema,
        step: int,
        when: float,
        losses: tuple[Value, ...],
        values: list[float],
        then: Callable[[float], None],
    ) -> None:
        device = next((value.device for value in losses if isinstance(value, torch.Tensor)), "cpu")
        tensors = [v if isinstance(v, torch.Tensor) else torch.full((), v, device=device) for v in losses]

        def arrived(arrays: Any) -> None:
            loss, root, *factor = (float(array) for array in arrays)
            values[len(values) - len(factor) :] = factor
            self._emit.numbers(schema, step, when, loss, root, *values)
            then(loss)

        self._fetch(tensors, arrived)


def _fields(groups: int, loader: bool, scaler: bool) -> tuple[Field, ...]:
    fields = [Field("loss.train"), Field("loss.root")]
    if groups:
        fields.append(Field("lr", groups))
    fields += [Field("batch.size"), Field("step.seconds")]
    if loader:
        fields += [Field("epoch"), Field("data.wait")]
    if scaler:
        fields += [Field("step.skipped"), Field("amp.scale")]
    return tuple(fields)
