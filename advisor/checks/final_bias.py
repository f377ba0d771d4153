"""final-bias."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..check import Check, State, Verdict
from ..finding import Abstain, number, percent
from ..place import of_layer
from ..script import loss
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Whether the last bias begins at what is expected of the targets.

    Why it matters
        The first epochs are spent on learning the mean, which could be written down: log(p / (1 - p)) for a rare
        class, 50 for targets of mean 50.

    How it is decided
        Binary targets with under 10 % or over 90 % ones, and an untrained output that is off by over 1: told.
        Numbers whose mean is over two deviations from that of the untrained output: told, a warning beyond ten.

    When it is a false alarm
        It is a gain, no error: hence told.

    What to do
        model.head.bias.data.fill_(value) before the training.
    """
    name = str(loss(at).get("name") or "")
    logits = name == "binary_cross_entropy_with_logits"
    if not logits and name not in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
        return None
    if not (at.has("output.mean") and at.has("target.mean")) or at.finetune:
        raise Abstain("outputs and targets were not measured before the training")
    output, mean = float(at.view("output.mean").scalar[0]), float(at.view("target.mean").scalar[0])
    last = (at.experiments.get("model") or {}).get("last") or {}
    layer = f"{last['name']}.bias{of_layer(at, str(last['name']))}" if last.get("name") else "the last bias"
    if logits:
        if not 0 < mean < 1:
            return None
        wanted = math.log(mean / (1 - mean))
        rare = min(mean, 1 - mean)
        said = f"{percent(mean)} of the targets are 1, the untrained output is {number(output)}"
        if rare > limit["rare"] or abs(output - wanted) < 1:
            return Verdict("pass", said, output, wanted)
        return Verdict(
            "info",
            said,
            output,
            wanted,
            f"{layer} → fill_({number(wanted)})",
            f"the first output is about {number(wanted)}",
        )
    deviation = float(at.view("target.std").scalar[0])
    if not deviation > 0:
        return None
    off = abs(mean - output) / deviation
    said = f"targets have mean {number(mean)} (deviation {number(deviation)}), the untrained output {number(output)}"
    if off <= limit["told"]:
        return Verdict("pass", said, off, limit["told"])
    state: State = "warn" if off > limit["warn"] else "info"
    return Verdict(
        state, said, off, limit["told"], f"{layer} → fill_({number(mean)})", f"the first output is about {number(mean)}"
    )


CHECK = Check(
    "final-bias",
    "a last bias as the targets are",
    "Note B30.",
    judge,
    {"rare": 0.1, "told": 2, "warn": 10},
    follows=("target-normalisation",),
)
