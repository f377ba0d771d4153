"""target-normalisation."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import Abstain, number
from ..place import of_loss
from ..script import loss
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Mean and deviation of the targets of a regression.

    Why it matters
        A target of 10,000 against an output of 0 is a loss of 10^8: the first steps wreck the net, or a rate that
        survives them is too small for anything else.

    How it is decided
        A deviation over 10 or a mean over ten deviations is a warning; a deviation under 0.01 is told.

    When it is a false alarm
        Nets that scale their output themselves: then initial-loss is as it should be, and this check is silent.

    What to do
        (y - mean) / deviation for training; multiply the predictions back.
    """
    name = str(loss(at).get("name") or "")
    if name not in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
        return None
    if not at.has("target.mean"):
        raise Abstain("the targets were not measured")
    mean, std = float(at.view("target.mean").scalar[0]), float(at.view("target.std").scalar[0])
    told = (at.found.get("train") or {}).get("target") or {}
    if "std" in told:
        mean, std = float(told["mean"]), float(told["std"])
    said = f"targets have mean {number(mean)} and deviation {number(std)}"
    output = float(at.view("output.std").scalar[0]) if at.has("output.std") else 1.0
    scaled = output > limit["std"]
    if not std > 0 or scaled:
        return Verdict("pass", said, std, 1.0)
    change = f"y{of_loss(at)} → (y - {number(mean)}) / {number(std)}"
    if std > limit["std"] or abs(mean) > limit["offset"] * std:
        return Verdict("warn", said, std, 1.0, change, "the first loss is about 1")
    return Verdict("info" if std < limit["small"] else "pass", said, std, 1.0, change if std < limit["small"] else "")


CHECK = Check(
    "target-normalisation",
    "targets of about unit size",
    "Notes C67, C180, C358.",
    judge,
    {"std": 10, "offset": 10, "small": 0.01},
)
