"""How the weights begin, and what passes through them at the first step: whether that is on the usual scale."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence

from .context import Context
from .finding import number, some
from .layers import shape_of
from .window import finite, median

FAINT, LOUD = 0.02, 5
"""Times 1 / sqrt(fan-in): weights under the one and over the other are far off any usual initialisation."""
Start = tuple[str, str, str, Evidence]
"""What is wrong with how it starts, the key, the layer, and the number."""


def _scales(at: Context, record: int) -> dict[int, float]:
    """How large the matrices were at a record, times 1 / sqrt(fan-in), by column; those that were zero are left out."""
    view = at.view("weight.norm")
    norms = view.values[record]
    return {i: float(norms[i]) / math.sqrt(shape_of(view.notes[i])[0]) for i in at.mixing if norms[i] > 0}


def scaled(at: Context, faint: float, loud: float) -> Start | None:
    """Two matrices or more begin far off 1 / sqrt(fan-in), where the usual ones lie (0.4 to 1.5 times)."""
    if not (at.has("weight.norm") and at.has("update.ratio")):
        return None
    view, scales = at.view("weight.norm"), _scales(at, 0)
    for off, side in (([i for i in scales if scales[i] < faint], "small"),
                      ([i for i in scales if scales[i] > loud], "large")):  # fmt: skip
        if len(off) > 1:
            layer = view.names[off[0]]
            said = Evidence(
                "weight.norm", scales[off[0]], 1.0, "rms times sqrt(fan-in)", int(view.steps[0]), at.step, layer
            )
            key = (
                f"the weights of {layer} began at {number(scales[off[0]])} times 1 / sqrt(fan-in), 0.4 to 1.5 is usual"
            )
            return f"these weights start far too {side}: {some([view.names[i] for i in off])}", key, layer, said
    return None


def one_loud(at: Context, loud: float) -> str | None:
    """A single matrix begins far over 1 / sqrt(fan-in)."""
    if not (at.has("weight.norm") and at.has("update.ratio")):
        return None
    scales = _scales(at, 0)
    worst = max(scales, key=scales.__getitem__, default=None)
    if worst is None or scales[worst] <= loud:
        return None
    return f"{at.view('weight.norm').names[worst]} began at {number(scales[worst])} times 1 / sqrt(fan-in)"


def faint_still(at: Context, faint: float) -> str | None:
    """Two matrices or more began at next to nothing, and 60 steps have not built them up."""
    view = at.view("weight.norm")
    if view.steps[-1] < at.track.segment.first_step + 60:
        return None
    begun, now = _scales(at, 0), _scales(at, -1)
    still = [i for i, scale in begun.items() if scale < faint and now.get(i, 0.0) < faint]
    if len(still) < 2:
        return None
    return f"{len(still)} matrices, {view.names[still[0]]} among them, are no larger after {int(view.steps[-1])} steps"


def fed_back(at: Context, loud: float) -> str | None:
    """A recurrent layer that begins with large weights reads its own outputs, which nothing can make small."""
    names = at.view("weight.norm").names
    name = next((names[i] for i, scale in _scales(at, 0).items() if scale > loud and "weight_hh" in names[i]), None)
    return f"{name} takes in what the layer put out one step before: its gates stand at their ends" if name else None


def passes(at: Context, limit: Mapping[str, float]) -> str | None:
    """What comes out of a layer, or of the net, at the first step is large as well, or flat at its ends."""
    for metric, most, what in (
        ("act.std", limit["swollen"], "the outputs of {0} have a deviation of {1}"),
        ("act.saturated", limit["flat"], "{1} of the outputs of {0} lie at its flat ends"),
        ("output.std", limit["swollen"], "the predictions have a deviation of {1}"),
    ):
        if not at.has(metric):
            continue
        view = at.view(metric)
        first = np.nan_to_num(view.values[0])
        worst = int(np.argmax(first))
        if first[worst] > most:
            return f"at the first step {what.format(view.names[worst], number(float(first[worst])))}"
    return None


def indifferent(at: Context, limit: Mapping[str, float]) -> str | None:
    """The first predictions of different samples are next to the same, beside those of soon after; or the first thirty
    steps had to build up several matrices from next to nothing."""
    if at.has("output.spread"):
        spread = at.view("output.spread").values[:20, 0]
        if len(spread) >= 4 and spread[0] < limit["same"] * median(spread[2:]):
            begun, soon = number(float(spread[0])), number(median(spread[2:]))
            return f"the first predictions of different samples differ by {begun}, those of soon after by {soon}"
    norms = at.view("weight.norm").before(at.track.segment.first_step + 31)
    first, now = norms.values[0, at.mixing], norms.values[-1, at.mixing]
    grown = np.sort(now[first > 0] / first[first > 0])
    if len(grown) < 2 or not grown[-2] > limit["grown"]:
        return None
    return f"by step {int(norms.steps[-1])} two of these and more are {number(float(grown[-2]))} times as large"


def starved(at: Context, limit: Mapping[str, float]) -> str | None:
    """The first gradient is next to nothing beside those of soon after: at the start hardly anything came through."""
    norms = finite(at.view("grad.norm").before(at.track.segment.first_step + 30).scalar)
    if len(norms) < 10 or not norms[0] < limit["starved"] * median(norms[3:]):
        return None
    return f"the first gradient had a norm of {number(float(norms[0]))}, soon after it was {number(median(norms[3:]))}"
