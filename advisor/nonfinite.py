"""Where the first number that is none came from, and whether the run had grown towards it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from nnwatch.frame import Event, Evidence

from .context import Context
from .finding import Abstain, number, of_size
from .machine import named
from .window import finite, median

_NONE = re.compile(r"\bnan\b|\binf\b|infinit|finite", re.IGNORECASE)
GIVEN = frozenset({"input", "target", "sample", "entered"})
"""Origins of a number that is none which lie in the data."""
NEWEST = 8
"""Sampled steps before the onset in which a large update counts as part of it."""
TRAIL = 8
"""Operations whose ranges a probe keeps: a shorter list begins with the first one of the pass."""
RECOVERED = 10
"""Finite losses in a row after which the run is taken to have survived."""


class Onset(NamedTuple):
    """The first non-finite number: step, origin ("unknown" where no probe saw it) and what the probe said.

    ``place``: " on rank 3" where it was another rank's, "" otherwise.
    """

    step: int
    origin: str
    data: dict[str, Any]
    place: str = ""

    @property
    def when(self) -> str:
        """The step in words."""
        return f"step {self.step}{self.place}"

    @property
    def where(self) -> str:
        """The user's line that calls the operation, in brackets; "" where that is not known."""
        return f" ({self.data['where']})" if self.data.get("where") else ""


class Growth(NamedTuple):
    """Evidence that the numbers grew before they were no numbers: sentences, and the largest late update."""

    signs: tuple[str, ...]
    ratio: tuple[float, int, str] | None


def last_finite(at: Context, step: int) -> Evidence:
    """The last finite loss at ``step`` or before, as evidence; -1 where there was none."""
    losses = at.loss.before(step + 1) if at.has("loss.train") else None
    known = np.flatnonzero(np.isfinite(losses.scalar)) if losses is not None else np.empty(0)
    if losses is None or not len(known):
        return Evidence("loss.train", -1.0, None, "the loss was never finite", step, step)
    i = int(known[-1])
    return Evidence("loss.train", float(losses.scalar[i]), None, "last finite loss", int(losses.steps[i]), step)


def restart(at: Context, step: int) -> str:
    """How to go on: weights that took in a NaN do not heal."""
    saved = at.checkpoint(step - 1)
    place = f"from {saved[0]} (step {saved[1]})" if saved else f"from a checkpoint before step {step}"
    return f"start again, or {place}: every loss after it is finite"


def complaint(at: Context) -> Onset | None:
    """The exception that speaks of a number that is none: distributions and solvers look at what they are given and
    raise before any loss is there. Samples that are NaN from end to end, among others that are not, came in as such:
    origin "sample". None without one."""
    for event in at.events("exception"):
        message = str(event.data.get("message", ""))
        if _NONE.search(message):
            rows, finished = _rows(message), at.has("loss.train") and int(at.loss.steps[-1]) >= event.step
            step = event.step + 1 if finished else event.step  # it was raised in the pass that follows
            return Onset(step, "sample" if rows else "unknown", {"bad_samples": rows} if rows else {})
    return None


def _rows(message: str) -> list[int]:
    """Rows of the printed tensor that are NaN from end to end, where these are few and no other row has any."""
    values = [re.findall(r"[-+.\w]+", row) for row in re.findall(r"\[([^\[\]]+)\]", message.partition("tensor(")[2])]
    nan = [i for i, row in enumerate(values) if "nan" in row]
    alone = 0 < len(nan) <= 0.1 * len(values) and all(set(values[i]) == {"nan"} for i in nan)
    return nan if alone and "..." not in message else []


def onset(at: Context) -> Onset | None:
    """The onset that still matters at the boundary, None when all is finite or the run has recovered.

    Raises Abstain when the loss is not measured and no probe has reported anything. A non-finite gradient
    under a gradient scaler is not one: it looks for its scale that way.
    """
    return at.here("onset", lambda: _onset(at))


def _onset(at: Context) -> Onset | None:
    reported = [e for e in _reported(at) if not (at.amp and e.data.get("origin") == "backward")]
    bad = at.not_finite if at.has("loss.train") or not reported else np.empty(0, np.int64)
    if not reported and not len(bad):
        return complaint(at)
    newest = max([e.step for e in reported[-1:]] + [int(step) for step in bad[-1:]])
    if at.has("loss.train") and len(at.loss.since(newest + 1).steps) >= RECOVERED:
        return None
    seen = int(bad[0]) if len(bad) else at.step
    if reported and reported[0].step <= seen + 1:
        event = reported[0]
        origin = str(event.data.get("origin", "unknown"))
        if origin == "unknown" and _entered(at, event.step, event.data.get("ranges") or ()):
            origin = "entered"
        own = event.data.get("batch_step", event.step) == event.step  # else a later loss, of spoiled weights
        if origin == "backward" and own and event.data.get("loss") in ("nan", "inf", "-inf"):
            origin = "loss"  # backward() began with a number that is none: one term of several, or a sum by hand
        place = "" if event.rank == at.track.segment.rank else f" on {named(at, event.rank)}"
        return Onset(min(event.step, seen), origin, event.data, place)
    return Onset(seen, "unknown", {})


def _reported(at: Context) -> list[Event]:
    """What the probes said, by step. What one rank has in its data, or makes of them, all others get with the average
    of the gradients: of the same step, those come first that saw where it began."""
    own = at.events("nonfinite")
    if not at.facts.get("distributed"):
        return own
    segment, rank = at.track.segment.segment, at.track.segment.rank
    others = [e for e in at.history.events if e.name == "nonfinite" and e.segment == segment and e.rank != rank]
    return sorted(own + [e for e in others if e.step <= at.step], key=_earliest)


def _earliest(event: Event) -> tuple[int, int, int]:
    origin = event.data.get("origin")
    return event.step, 0 if origin in GIVEN else 1 if origin in ("forward", "loss") else 2, event.rank


def _entered(at: Context, step: int, ranges: Sequence[Sequence[Any]]) -> bool:
    """The very first operation of the pass gave NaN although the weights were finite: it came in with what entered."""
    if not 0 < len(ranges) < TRAIL or not at.has("weight.norm"):
        return False
    norms = at.view("weight.norm").before(step)
    given = any(math.isnan(float(edge)) for edge in ranges[0][2:4])
    return given and len(norms.steps) > 0 and bool(np.isfinite(norms.values[-1]).all())


def growth(at: Context, step: int) -> Growth | None:
    """Whether loss, gradient or updates had grown before ``step``; None when they had not.

    The loss: at least 60 % of its last five moves went up and it ended at twice the best before. The gradient
    norm: ten times its median. The update: above 10 % of a weight matrix in the last eight sampled steps; one that was
    followed by more calm ones did not lead there.
    """
    signs: list[str] = []
    losses = finite(at.loss.before(step).scalar) if at.has("loss.train") else np.empty(0)
    tail = losses[-6:]
    if len(tail) > 1 and np.mean(np.diff(tail) > 0) >= 0.6 and tail[-1] > 2 * np.min(np.abs(losses[-200:])):
        signs.append(f"the loss went from {number(float(np.min(losses[-200:])))} to {number(float(tail[-1]))} before")
    if at.has("grad.norm"):
        norms = at.view("grad.norm").before(step + 1).last(200).scalar
        last, usual = finite(norms[-3:]), median(norms[:-3])
        if len(last) and math.isfinite(usual) and np.max(last) >= 10 * usual > 0:
            signs.append(f"the gradient norm rose to {number(float(np.max(last)))}, {number(usual)} is usual")
    ratio = None
    with suppress(Abstain):
        ratio = at.peak(at.view("update.ratio").before(step).last(NEWEST))
    if ratio is not None and ratio[0] > 0.1:
        signs.append(f"step {ratio[1]} moved {ratio[2]} by {of_size(ratio[0])}")
    return Growth(tuple(signs), ratio) if signs else None
