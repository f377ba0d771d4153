"""input-normalisation."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import Abstain, number
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Mean and deviation of what enters the model, by channel.

    Why it matters
        Initialisations and learning rates are made for inputs of about unit size.

    How it is decided
        The rule unnormalised-input on the steps that were seen (a scale far off, and a first loss or dead layers that
        it explains). Beside it, told and not judged: channels of the data set whose deviations differ by a hundred
        times.

    When it is a false alarm
        Nets that begin with a normalisation take any scale; sparse and one-hot inputs have a small deviation.

    What to do
        (x - mean) / deviation of the training data, for all sets.
    """
    try:
        seen = at.by_rules(("unnormalised-input",), "")
    except Abstain:
        if not at.has("input.std"):
            return None  # tokens
        raise
    if seen.state != "pass":
        return seen
    stds = [float(s) for s in (at.found.get("train") or {}).get("std") or () if s > 0]
    if len(stds) > 1 and max(stds) > limit["channels"] * min(stds):
        return Verdict(
            "info",
            f"deviations of the channels differ: {number(min(stds))} to {number(max(stds))}",
            max(stds) / min(stds),
            limit["channels"],
            "x → (x - mean) / deviation, channel by channel",
            "all deviations are about 1",
        )
    mean, std = float(at.view("input.mean").scalar[0]), float(at.view("input.std").scalar[0])
    return Verdict("pass", f"inputs have mean {number(mean)} and deviation {number(std)}", std, 1.0)


CHECK = Check("input-normalisation", "inputs of about unit size", "Notes D6, C97, C180, B19.", judge, {"channels": 100})
