"""pretrained-normalisation."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import Abstain, number
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Whether pre-trained weights get inputs scaled as those they were trained on.

    Why it matters
        A net that was trained on standardised images and is shown pixels from 0 to 255 has to be learned anew.

    How it is decided
        The first BatchNorm of the model remembers what it was trained on: its running mean and variance against those
        of the first batch. Half a deviation off is told, two, or a variance ten times off, is a warning.

    When it is a false alarm
        Another domain (X-rays instead of photographs) shifts it, too: look at the inputs' own mean and deviation.

    What to do
        The transforms that belong to the weights (weights.transforms()).
    """
    if not at.facts.get("pretrained"):
        return None
    if not (at.has("bn.mean.shift") and at.has("bn.variance.ratio")):
        raise Abstain("the pre-trained net has no BatchNorm that remembers its inputs")
    shift = float(at.view("bn.mean.shift").values[0][0])
    ratio = float(at.view("bn.variance.ratio").values[0][0])
    off = max(shift / limit["shift"], abs(math.log10(max(ratio, 1e-9))))
    times = number(1 / max(ratio, 1e-9))
    said = f"the first BatchNorm finds its inputs {number(shift)} deviations off, of {times} times the variance"
    if shift < limit["told"] and 0.25 < ratio < 4:
        return Verdict("pass", said, shift, 0.0)
    return Verdict(
        "warn" if off >= 1 else "info",
        said,
        shift,
        limit["told"],
        "the transforms in use → those of the weights (weights.transforms())",
        "the shift is under half a deviation",
    )


CHECK = Check(
    "pretrained-normalisation", "inputs as the pre-trained weights expect", "Note K8.", judge, {"told": 0.5, "shift": 2}
)
