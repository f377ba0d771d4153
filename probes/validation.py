"""Records of validation batches: the loss, how right and how sure, and the losses of the first samples one by one.

``val`` holds what every batch has; ``val.detail`` what is looked at in some.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from . import confidence, each, inputs, outputs, persistence, rows
from .confidence import Prediction
from .ctc import by_sample
from .emit import Column
from .fetch import Arrays, Fetch
from .loss import Term
from .match import Match
from .probe import Probes
from .rows import checksum

EACH = 256
"""Samples of a batch whose own losses are kept."""
CHECKED = 4096
"""Targets that the checksum covers."""
CLASSES = 64
"""Up to so many classes every batch has counts per class, above it the batches looked at in detail."""
SAMPLED = 8192
"""Values that moments are taken of, at most."""

Put = Callable[..., None]
"""Gets a metric, its values and, where they have some, the id of their labels."""
Publish = Callable[[str, list[Column]], None]
"""Gets the kind of the record and its columns, at once or when the values have come from their device."""


class Validation:
    """One per segment: the width of ``loss.val.each`` stays what the first batch made it."""

    def __init__(self, fetch: Fetch, probes: Probes, match: Match) -> None:
        self._fetch = fetch
        self._probes = probes
        self._match = match
        self._width: int | None = None

    def see(self, term: Term, value: torch.Tensor, detailed: bool, known: list[Column], publish: Publish) -> None:
        """``known`` columns go into the record with what a call of a loss function shows."""
        details: list[Column] = []
        self._probes.run("validation", lambda: self._see(term, value, known, details if detailed else None, publish))
        if detailed:
            self._look(term, lambda metric, number, labels=0: details.append((metric, labels, number)))
            self._fetch([], lambda _: publish("val.detail", details))

    def _see(
        self, term: Term, value: torch.Tensor, known: list[Column], details: list[Column] | None, publish: Publish
    ) -> None:
        target, output = term.target, term.input
        counted = target if target is not None and target.dim() else output
        size = counted.shape[0] if counted is not None and counted.dim() else 1
        parts = [value.detach().mean(dtype=torch.float32)]
        parts.append(target.detach().reshape(-1)[:CHECKED] if target is not None else parts[0].new_empty(0))
        parts.append(each.losses(by_sample(term), EACH))
        selected = confidence.select(term)
        if selected is not None:
            parts += selected[0]

        def arrived(arrays: Arrays) -> None:
            loss, seen, losses = arrays[:3]
            columns: list[Column] = [("loss.val", 0, float(loss)), ("val.size", 0, float(size)), *known]
            if len(seen):
                columns.append(("val.order", 0, checksum(seen)))
            if selected is not None:
                columns += self._predicted(selected[1](arrays[3:]), details)
            if self._width is None:
                self._width = min(size, EACH)
            if len(losses):
                columns.append(("loss.val.each", 0, losses[: self._width]))
            publish("val", columns)

        self._fetch(parts, arrived)

    def _predicted(self, prediction: Prediction | None, details: list[Column] | None) -> list[Column]:
        columns = confidence.columns(prediction, confidence.VAL)
        counts = confidence.columns(prediction, confidence.VAL_COUNTS)
        if counts and len(counts[0][2]) <= CLASSES:
            columns += counts
        elif details is not None:
            details += counts
        return columns

    def _look(self, term: Term, put: Put) -> None:
        run, fetch, target = self._probes.run, self._fetch, term.target
        run("val.outputs", lambda: outputs.spread(term, fetch, put))
        run("val.r2", lambda: outputs.r2(term, fetch, lambda number: put("r2.val", number)))
        run("val.match", lambda: self._match.see([by_sample(term)], put, "target.val"))
        if target is not None:
            run("val.target", lambda: inputs.moments("target.val", target, fetch, put, SAMPLED))
        if term.inputs is not None:
            entered = term.inputs[1:3]
            run("val.inputs", lambda: inputs.moments("input.val", entered, fetch, put, SAMPLED))
            run("val.rows", lambda: rows.of_input(entered, fetch, put, "input.val.rows", "input.val.order"))
            run(
                "val.persistence",
                lambda: persistence.loss(term, entered, fetch, lambda number: put("loss.val.persistence", number)),
            )
