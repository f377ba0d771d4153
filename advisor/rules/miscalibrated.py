"""miscalibrated."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy
from nnwatch.metric import CONFIDENCE_BINS

from ..context import Context
from ..finding import Abstain, Found, percent
from ..passes import sums
from ..rule import Rule
from ..script import loss

TEMPERATURE = "Scale the logits by a temperature"
STOP = "Stop at the best validation loss"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The net's confidence is not how often it is right.

    Why it matters
        Where decisions are made by the probability, 99 % that are right in 80 of 100 cases are worse than an honest 80.
        The accuracy does not show it; a validation loss that rises while the accuracy holds is this.

    How it is decided
        Expected calibration error over 20 bins of the highest probability, in each of three evaluations after half of
        the run, on 1,000 samples or more: over 10 points, and over three standard errors. It is a fact.

    When it is a false alarm
        Label smoothing, mixup and distillation make a net less sure than it is right on purpose: too little confidence
        is told only without label smoothing.

    What to do
        Divide the logits by one number that is fitted on validation data (temperature scaling): no prediction changes,
        and the probabilities become honest.
    """
    if at.step < at.track.segment.first_step + max(at.warmup, limit["part"] * at.horizon):
        raise Abstain("too early: half of the run is allowed for it")
    counts = sums(at, "confidence.val", int(limit["evaluations"])).values
    if len(counts) < limit["evaluations"] or counts[-1].sum() < limit["samples"]:
        raise Abstain("it needs three evaluations on 1,000 samples or more")
    found = [_calibration(row) for row in counts]
    error, gap, spread = min(found)
    if not at.exceeds(error, limit["error"]) or error < 3 * spread:
        return None
    if gap < 0 and loss(at).get("label_smoothing"):
        return None
    n = float(counts[-1].sum())
    right = float(counts[-1][CONFIDENCE_BINS:].sum() / n)
    sure = right + found[-1][1]
    too = "overconfident" if gap > 0 else "not confident enough"
    expect = f"the calibration error is under {percent(limit['error'])} at the same accuracy"
    return Found(
        "info",
        f"the net is {percent(sure)} sure on average and {percent(right)} right (calibration error {percent(error)})",
        (f"so it is at least in three evaluations of {n:,.0f} samples, with a standard error of {percent(spread)}",),
        int(at.evaluations.steps[-1]),
        (Evidence("confidence.val", error, limit["error"], f"expected calibration error: {too}", 0, at.step),),
        (
            Remedy(TEMPERATURE, "softmax(x) → softmax(x / T), T fitted on validation data", expect),
            Remedy(STOP, "the last weights → those of the best validation loss", expect),
        ),
        "If the error stays in some classes only, fit a temperature for each.",
    )


def _calibration(row: np.ndarray) -> tuple[float, float, float]:
    """(expected calibration error less what chance adds, confidence less accuracy, standard error of the first).

    Guo et al. 2017, with the middle of a bin as its confidence; chance adds about the mean standard error of a bin.
    """
    wrong, right = row[:CONFIDENCE_BINS], row[CONFIDENCE_BINS:]
    size = wrong + right
    known = size > 0
    middle = (np.arange(CONFIDENCE_BINS)[known] + 0.5) / CONFIDENCE_BINS
    accuracy = right[known] / size[known]
    share = size[known] / size.sum()
    errors = np.sqrt(np.maximum(accuracy * (1 - accuracy), 1e-4) / size[known])
    chance = float(np.sum(share * errors)) * math.sqrt(2 / math.pi)
    error = float(np.sum(share * np.abs(accuracy - middle))) - chance
    return error, float(np.sum(share * (middle - accuracy))), float(np.sqrt(np.sum((share * errors) ** 2)))


RULE = Rule(
    "miscalibrated",
    "confidence that does not match accuracy",
    "statistical",
    ("confidence.val", "loss.val"),
    (TEMPERATURE, STOP),
    "Guo et al. 2017; note C77 (look at the distribution of the softmax).",
    check,
    {"error": 0.1, "part": 0.5, "evaluations": 3, "samples": 1000},
)
