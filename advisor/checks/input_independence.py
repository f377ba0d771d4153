"""input-independence."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import Abstain, number
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Whether real inputs serve better than permuted and blank ones.

    Why it matters
        A net that does as well on the input of another sample does not look at its input.

    How it is decided
        Weights that know some samples by heart are shown the inputs of other samples, blank ones and noise, with the
        targets as they were: the loss must be a tenth higher than with the real inputs. Told, not judged: labels that
        are all alike look the same. A gradient of exactly zero is the matter of gradient-to-input.

    When it is a false alarm
        Generators, and losses that use the input as their target.

    What to do
        Follow one sample from the file to the loss.
    """
    told = at.trial("input")
    real = float(told["loss"])
    others = {name: float(told[name]) for name in ("permuted", "blank", "noise") if told.get(name) is not None}
    if not others:
        raise Abstain("no other inputs could be made")
    best = min(others, key=lambda name: others[name])
    listed = ", ".join(f"{number(value)} with {_WORDS[name]}" for name, value in others.items())
    said = f"loss {number(real)} with the real inputs, {listed}"
    if others[best] - real > limit["share"] * max(abs(others[best]), limit["least"]):
        return Verdict("pass", said, real, others[best])
    return Verdict(
        "info",
        f"{said}: {_WORDS[best]} do as well",
        real,
        others[best],
        "the way of the data into the model → followed for one sample",
        "real inputs have the lower loss",
    )


_WORDS = {"permuted": "those of other samples", "blank": "blank ones", "noise": "noise"}

CHECK = Check(
    "input-independence",
    "inputs that are looked at",
    "Notes B32, T9.",
    judge,
    {"share": 0.1, "least": 1e-3},
    follows=("gradient-to-input", "overfit-batch"),
)
