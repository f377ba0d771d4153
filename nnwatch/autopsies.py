"""The section of a report on the first numbers that were not finite: where each began, and what was kept of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

from .frame import Event
from .history import History

ORIGINS = {
    "input": "in the input",
    "target": "in the targets",
    "forward": "in the forward pass",
    "loss": "in the loss",
    "backward": "in the backward pass",
    "optimizer": "in the optimizer's step",
    "overflow": "with an overflow of half precision",
    "weights": "in the weights, before the first step",
    "unknown": "at a place that is not known",
}
_NUMBERS = (
    "bad_samples",
    "samples",
    "outside",
    "classes",
    "raised",
    "input_min",
    "input_max",
    "ranges",
    "batch_step",
)
"""What an event may say besides; absent where it is not known."""


class Autopsy(NamedTuple):
    """A ``nonfinite`` event and the folder of its bundle, None where none was kept or it is not there any more."""

    event: Event
    folder: Path | None

    def json(self) -> dict[str, Any]:
        data = self.event.data
        return {
            "step": self.event.step,
            "segment": self.event.segment,
            "rank": self.event.rank,
            **{key: data.get(key) for key in ("origin", "layer", "op", "detail", "loss", "last_finite_step")},
            **{key: _finite(data[key]) for key in _NUMBERS if key in data},
            "folder": str(self.folder) if self.folder is not None else None,
        }

    def text(self) -> list[str]:
        data = self.event.data
        origin = ORIGINS.get(str(data.get("origin")), ORIGINS["unknown"])
        place = " of ".join(str(data[key]) for key in ("op", "layer") if data.get(key))
        lines = [f"AUTOPSY of step {self.event.step:,}: it began {origin}{', ' * bool(place)}{place}"]
        if data.get("detail"):
            lines.append(f"  seen     {data['detail']}")
        if data.get("bad_samples"):
            lines.append(f"  samples  {_listed(data['bad_samples'])} of the batch{_in_data(data)}")
        if "input_min" in data:
            lines.append(f"  input    {data['input_min']:.4g} to {data['input_max']:.4g} where it is finite")
        for layer, op, low, high in data.get("ranges", ()):
            lines.append(f"  before   {op}{f' of {layer}' if layer else ''}: {float(low):.4g} to {float(high):.4g}")
        lines.append(f"  last finite step {data.get('last_finite_step')}")
        if self.folder is not None:
            lines.append(f"  batch    {self.folder}")
        return lines


def autopsies(history: History, beside: Path | None) -> list[Autopsy]:
    """All of a run, in the order they happened. ``beside`` is the folder that the session lies in; where that is not
    known, folders are named as they lie beside the session, there or not."""
    kept = {
        (e.segment, e.rank, e.step): (beside or Path()) / str(e.data["folder"])
        for e in history.events
        if e.name == "autopsy"
    }
    found = []
    for event in history.events:
        if event.name == "nonfinite":
            folder = kept.get((event.segment, event.rank, event.step))
            found.append(Autopsy(event, folder if folder is not None and (not beside or folder.is_dir()) else None))
    return found


def _in_data(data: dict[str, Any]) -> str:
    return f", {_listed(data['samples'])} of the data set" if data.get("samples") else ""


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they are written as words."""
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
