"""Numbers of an unusual size, in the input, the targets or the loss: what they lead to, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from nnwatch.frame import Evidence, Remedy

from .context import Context
from .finding import Found, number

TROUBLE = {
    "dead-relu": "a layer is dead",
    "saturated-activation": "activations are saturated",
    "divergence": "the loss has diverged",
    "exploding-gradient": "the gradient explodes",
    "vanishing-gradient": "the first layers get no gradient",
    "lr-too-high": "the first updates were far too large",
    "nan-loss-fn": "the loss is no number",
    "nan-backward": "the gradient is no number",
}


def trouble(at: Context) -> str | None:
    """What is open and comes of a wrong scale. None where the loss was falling until the rate was raised: the scale was
    the same before."""
    if at.raised is not None:
        return None
    return next((text for rule, text in TROUBLE.items() if rule in at.opened), None)


def off_scale(
    at: Context,
    what: Literal["input", "target"],
    mean: float,
    std: float,
    keys: Sequence[str | None],
    remedies: tuple[Remedy, ...],
    otherwise: str,
) -> Found:
    """The finding: *warn* with an outcome beside the mechanism (both in ``keys``), *watch* with one alone."""
    known = tuple(key for key in keys if key)
    subject = {"input": "the input has", "target": "the targets have"}[what]
    begin = at.track.segment.first_step + 1
    return Found(
        "warn" if len(known) > 1 else "watch",
        f"{subject} mean {number(mean)} and standard deviation {number(std)} (reference 0 and 1)",
        known,
        begin,
        (
            Evidence(f"{what}.std", std, 1.0, f"standard deviation of the {what}", begin, at.step),
            Evidence(f"{what}.mean", mean, 0.0, f"mean of the {what}", begin, at.step),
        ),
        remedies,
        otherwise,
    )
