"""dead-relu."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, percent
from ..learning_rate import LOWER, lower_remedy
from ..rule import Rule
from ..window import View

BIAS = "Start the biases at zero and scale the input"
LEAKY = "Let the units leak"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Units of a ReLU-like layer that do not fire for any of the last 512 samples or more.

    Why it matters
        Their gradient is zero, so they rarely come back: the layer is that much narrower for the rest of the run. When
        nearly all are dead, nothing passes the layer and the net outputs a constant.

    How it is decided
        Mechanism: 40 % of a layer dead. Outcome: the loss has not left its first value in half of the plan (60 to 200
        steps). Without the second it takes 60 % and is *watch*: 30 % dead channels cost a CNN nothing, 56 % cost an MLP
        one point. 90 % of a layer with a loss that does not move is an error; so is, whatever the loss does, a whole
        layer that is dead while no matrix in front of it has had a gradient at any of ten sampled steps. A tenth of a
        layer that died since the first measurement is *info*.

    When it is a false alarm
        Layers that are sparse by design (mixture of experts, top-k), and padding that makes most inputs zero. Large
        first steps can leave a layer silent that comes back as the ones in front of it move: hence the wait.

    What to do
        If it came with large updates, lower the learning rate; if it was so from the first batch, look at biases,
        initialisation and the scale of the input. Then start again: dead units rarely revive. If it stays, let them
        leak.
    """
    if at.broken:
        raise Abstain("the net computes no numbers any more")
    view = at.view("act.dead")
    dead, layer = at.dead
    if not layer:
        raise Abstain("no layer was seen for 512 samples yet")
    outcome, stopped = _cut(at, limit)
    exact = outcome is not None
    if outcome is None:
        outcome = at.loss_key()
    index, name, at_start = at.once("dead at first", ("act.dead",), lambda: _at_start(view, layer))
    if not at.exceeds(dead, limit["dead"] if outcome else limit["alone"]):
        return _deaths(at, limit, dead, at_start, layer, name)
    column = view.values[:, index]
    known = np.flatnonzero(np.isfinite(column))
    began = int(view.steps[known[int(np.argmax(column[known] > limit["dead"]))]])
    began = min(began, stopped) if exact else began
    keys = [f"{percent(dead)} of {name} has not fired since step {began} or before"]
    severity: Severity = "watch"
    if outcome:
        keys.append(outcome)
        severity = "error" if at.exceeds(dead, limit["error"]) else "warn"
    leak = Remedy(LEAKY, "ReLU → LeakyReLU(0.01) or GELU", f"the dead share of {name} stays under 10 %")
    bias = Remedy(
        BIAS,
        f"biases and input scale of {name} as they are → bias 0, inputs of mean 0 and standard deviation 1",
        f"under 60 % of {name} is dead at the first measurement ({percent(at_start)} now)",
    )
    rate = lower_remedy(at)
    try:
        pushed = at.first_peak[0] > limit["pushed"]
    except Abstain:
        pushed = False
    return Found(
        severity,
        f"{percent(dead)} of the units of {name} are dead (reference {percent(limit['dead'])})",
        tuple(keys),
        began,
        (Evidence("act.dead", dead, limit["dead"], "share of units that never fired", began, at.step, layer),),
        (rate, leak) if pushed else (bias, rate, leak),
        "If units die again, print the layer's input: a mean far from 0 or one huge feature drives them out.",
        layer=layer,
        exact=exact,
    )


def _cut(at: Context, limit: Mapping[str, float]) -> tuple[str | None, int]:
    """A layer of which no unit fires, and no matrix up to it has had any gradient since: nothing passes, and nothing
    will. That needs no loss to be seen. With the step since when the first of them has had none."""
    if at.dead[0] < 1 or not at.has("grad.norm.layer"):
        return None, at.step
    whole = at.view("grad.norm.layer")
    view = whole.last(int(limit["samples"]))
    columns = at.weights(view)
    if len(view.steps) < limit["samples"] or not columns:
        return None, at.step
    still = [not np.any(view.values[:, column]) for column in columns]
    front = still.index(False) if False in still else len(still)
    modules = [view.names[column].rpartition(".")[0] for column in columns]
    behind = [idle for idle, module in zip(still[front:], modules[front:], strict=True) if module != modules[front - 1]]
    if not front or any(behind):
        return None, at.step  # not everything in front of it, and only that; a recurrent layer has several matrices
    passed = np.flatnonzero(whole.values[:, columns[0]])
    since = int(whole.steps[passed[-1] + 1]) if len(passed) else at.track.segment.first_step + 1
    return (
        f"no gradient has come to {view.names[columns[0]]} for {len(view.steps)} sampled steps: nothing passes",
        since,
    )


def _at_start(view: View, layer: str) -> tuple[int, str, float]:
    """The column of a layer, what it is called, and its first share of dead units."""
    index = view.names.index(layer)
    column = view.values[:, index]
    return index, f"{view.notes[index] or 'layer'} {layer}", float(column[np.isfinite(column)][0])


def _deaths(
    at: Context, limit: Mapping[str, float], dead: float, at_start: float, layer: str, name: str
) -> Found | None:
    """A tenth of the units died since the first measurement: a fact, as long as the net learns."""
    if not at.exceeds(dead - at_start, limit["new"]):
        return None
    evidence = Evidence("act.dead", dead, at_start, "share of units that never fired, now against at first", 1, at.step)
    leak = Remedy(LEAKY, "ReLU → LeakyReLU(0.01) or GELU", f"the dead share of {name} stays at {percent(at_start)}")
    return Found(
        "info",
        f"{percent(dead - at_start)} of the units of {name} died while the net was trained",
        (f"{percent(at_start)} had not fired at first, {percent(dead)} now",),
        at.step,
        (evidence,),
        (leak,),
        "Nothing needs to be done while the loss falls.",
        layer=layer,
    )


RULE = Rule(
    "dead-relu",
    "dead ReLU units",
    "statistical",
    ("act.dead", "grad.norm.layer", "loss.train", "update.ratio", "lr"),
    (BIAS, LOWER, LEAKY),
    "Note D13 (40 %); measured: 28-31 % dead channels cost a CNN with BatchNorm nothing, 56 % cost an MLP one point, "
    "over 90 % is collapse; a batch of 32 overstates by 0.03 to 0.2, hence 512 samples.",
    check,
    {"dead": 0.4, "alone": 0.6, "error": 0.9, "pushed": 0.1, "new": 0.1, "samples": 10},
)
