"""initial-scale."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..check import Check, Verdict
from ..finding import Abstain, number, percent, some
from ..place import of_layer
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """How large the outputs of the layers are before the first update.

    Why it matters
        Too small: nothing passes through the layers, forwards or backwards. Too large: the first steps unlearn random
        confidence. All alike: every unit stays like every other.

    How it is decided
        The deviation of each activation layer's output at the first step, the last over the first: beyond 10 times
        either way is told, beyond 1,000 times is a warning. So is a layer with 60 % dead units before the first
        update, and a weight matrix whose rows are all alike: an error.

    When it is a false alarm
        Deep nets of torch's default initialisation shrink by 0.6 a layer: that is told only.

    What to do
        kaiming_normal_ for ReLU, xavier_normal_ for tanh, normalisation between the layers.
    """
    alike = [str(name) for name in (at.experiments.get("model") or {}).get("alike") or ()]
    if alike and not at.finetune:
        return Verdict(
            "error",
            f"all units of {some(alike)} begin with the same weights",
            float(len(alike)),
            0.0,
            f"{some(alike)}{of_layer(at, alike[0])} → kaiming_normal_ or xavier_normal_",
            "no two units are alike",
        )
    if not at.has("act.std"):
        return None  # no activation layer
    view = at.view("act.std")
    stds = view.values[0]
    known = np.flatnonzero(np.isfinite(stds))
    if not len(known):
        raise Abstain("no activation layer was measured")
    first, last = (float(stds[i]) for i in (known[0], known[-1]))
    ratio = last / max(first, 1e-30)
    said = f"outputs vary by {number(first)} after layer {view.names[known[0]]}"
    if len(known) > 1:
        said += f", by {number(last)} after layer {view.names[known[-1]]}"
    change = "weights as they are → kaiming_normal_ (ReLU) or xavier_normal_ (tanh), biases 0"
    dead, layer = at.dead_before(20), at.dead[1]
    if dead > limit["dead"]:
        return Verdict(
            "warn",
            f"{percent(dead)} of the units of {layer} are dead before anything was learned",
            dead,
            limit["dead"],
            change,
            "under 60 % are dead",
        )
    off = max(ratio, 1 / max(ratio, 1e-30))
    if off <= limit["told"]:
        return Verdict("pass", said, ratio, 1.0)
    return Verdict("warn" if off > limit["warn"] else "info", said, ratio, 1.0, change, "the two are within 10 times")


CHECK = Check(
    "initial-scale",
    "outputs of about one size in all layers",
    "Notes C58-60, C104, C224-230.",
    judge,
    {"told": 10, "warn": 1000, "dead": 0.6},
    follows=("input-normalisation",),
)
