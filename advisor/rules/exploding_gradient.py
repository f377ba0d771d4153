"""exploding-gradient."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Severity

from ..context import Context
from ..finding import Abstain, Found, number
from ..fixes import NAN, RESTORE, remedies, restart, titles
from ..rule import Rule
from ..window import finite, median, medians


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The gradient grows by factors, and the loss gets worse with it.

    Why it matters
        A few such steps throw the weights out of the region where they had learned something; the next ones make the
        loss diverge, or NaN.

    How it is decided
        Mechanism: the median norm of the last 20 sampled steps is over ten times that of the 200 before (three times in
        a recurrent net), before clipping; or the first weight matrix gets over 70 times the gradient of the last, per
        element, and the norm is over 100. Outcome: the loss is over one and a half times its best median and over a
        third of its first value, or has not left that.

    When it is a false alarm
        The first 20 steps. A norm that grows while the loss falls is common at the end of a training, and not judged.

    What to do
        Clip at what nine of ten healthy steps pass (5 to 15 in recurrent nets), then a third of the learning rate.
    """
    recurrent = bool((at.facts.get("layers") or {}).get("recurrent"))
    if "divergence" in at.opened and not recurrent:
        return None  # the gradient grows with a loss that runs away: said already
    metric = "grad.clip.norm" if at.has("grad.clip.norm") else "grad.norm"
    norms = at.view(metric).last(220)
    if at.step < at.track.segment.first_step + 20 or len(norms.steps) < 30:
        raise Abstain("it needs 30 sampled steps")
    factor = limit["recurrent"] if recurrent else limit["factor"]
    now, usual = median(norms.scalar[-20:]), median(norms.scalar[:-20])
    key, evidence = None, None
    if math.isfinite(now) and usual > 0 and at.exceeds(now, factor * usual):
        since = int(norms.steps[-20])
        key = f"the gradient norm rose to {number(now)}, {number(usual)} was usual before step {since}"
        evidence = Evidence(metric, now, factor * usual, "median of the last 20 against the 200 before", since, at.step)
    elif now > limit["large"]:
        key, evidence = _uneven(at, limit)
    if key is None or evidence is None:
        return None
    outcome = at.risen(limit["worse"], limit["lost"]) or at.loss_key()
    severity: Severity = "error" if outcome else "watch"
    if not outcome and (at.falling or (len(finite(norms.scalar)) and now <= factor * usual)):
        return None
    healthy = number(float(np.nanquantile(norms.scalar[:-20], 0.9)))
    return Found(
        severity,
        f"gradient norm {number(now)}, {number(usual)} is usual",
        (key, *([outcome] if outcome else [])),
        evidence.first_step,
        (evidence,),
        remedies(at, NAN[1::-1], f"the gradient norm stays under {healthy} and the loss falls", 2)
        + restart(at, evidence.first_step),
        "If clipping only slows it down, look at the initialisation and at the scale of inputs and targets.",
    )


def _uneven(at: Context, limit: Mapping[str, float]) -> tuple[str | None, Evidence | None]:
    """The gradient grows on its way back through the layers."""
    if not at.has("grad.norm.layer") or len(at.matrices) < 3:
        return None, None
    view = at.late(at.view("grad.norm.layer")).last(20)
    rms = medians(view.values[:, at.matrices].T) / at.matrix_scales
    if not (np.isfinite(rms).all() and rms[-1] > 0 and rms[0] > limit["uneven"] * rms[-1]):
        return None, None
    first, last = (view.names[at.matrices[i]] for i in (0, -1))
    ratio, since = float(rms[0] / rms[-1]), int(view.steps[0])
    meaning = "first matrix against the last, per element"
    said = Evidence("grad.norm.layer", ratio, limit["uneven"], meaning, since, at.step, first)
    return f"the gradient of {first} is {number(ratio)} times that of {last}", said


RULE = Rule(
    "exploding-gradient",
    "exploding gradient",
    "statistical",
    ("grad.norm", "grad.clip.norm", "grad.norm.layer", "loss.train", "grad.clip.max", "update.ratio", "lr",
     "input.mean", "input.std"),
    (*titles(NAN), RESTORE),
    "Notes D71, C234, C354; AutoTrainer (first over last above 70). A norm that grows while the loss falls is normal.",
    check,
    {"factor": 10, "recurrent": 3, "uneven": 70, "large": 100, "worse": 1.5, "lost": 1 / 3},
    goal=True,
)  # fmt: skip
