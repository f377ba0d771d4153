"""amp-overflow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..nonfinite import last_finite, onset, restart
from ..rule import Rule

BFLOAT = "Train in bfloat16"
WIDER = "Run the operation in float32"
SMALLER = "Keep the activations small"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Numbers of half precision overflow, and the gradient scaler skips step after step.

    Why it matters
        A skipped step trains nothing. When the loss scale falls under 1, it is the forward pass itself that overflows
        (float16 ends at 65,504), and no scale repairs that.

    How it is decided
        Exact: over 10 steps skipped in a row, over a quarter of the last hundred, a loss scale that has fallen under 1,
        or a first non-finite number that the same forward pass in float32 does not have. A scaler that looks for its
        scale skips a few steps at the start and one now and then; that is not counted.

    When it is a false alarm
        Never about the skipped steps themselves. A scale that starts far too high (2^24) needs ten skips to come down
        and then works: the finding is resolved.

    What to do
        bfloat16 has the range of float32 and needs no scaler. Where the GPU has none: run the operation that
        overflows in float32 (a softmax, a norm, an exponential), or keep its input small.
    """
    overflowed = onset(at)
    if overflowed is not None and overflowed.origin == "overflow":
        place = overflowed.data.get("layer") or overflowed.data.get("op") or "a layer"
        detail = f" ({overflowed.data['detail']})" if overflowed.data.get("detail") else ""
        return Found(
            "fatal",
            f"{place} overflowed half precision at step {overflowed.step}{detail}",
            ("the same forward pass in float32 is finite",),
            overflowed.step,
            (last_finite(at, overflowed.step),),
            _remedies(place, restart(at, overflowed.step)),
            "If float32 overflows too, divide the learning rate by ten and look for an outlier in the input.",
            layer=overflowed.data.get("layer"),
            exact=True,
        )
    if not at.has("amp.scale"):
        raise Abstain("no gradient scaler is in use")
    scales = at.view("amp.scale").scalar
    scale = float(scales[-1])
    fallen = scale < limit["scale"] and scale < scales[0]  # where it began so, nothing overflowed: somebody chose it
    skips = at.view("step.skipped").last(int(limit["window"])) if at.has("step.skipped") else None
    skipped = skips.scalar if skips is not None else np.zeros(1)
    worst, total = float(np.nanmax(skipped)), float(np.nansum(skipped))
    share = total / (total + len(skipped))
    often = len(skipped) >= limit["window"] and at.exceeds(share, limit["often"])
    if not (fallen or often or worst > limit["skips"]):
        return None
    severity: Severity = "error" if share > 0.5 or fallen else "warn"
    step = int(skips.steps[int(np.nanargmax(skipped))]) if skips is not None else at.step
    keys = [f"the loss scale is {number(scale)}"]
    if total:
        keys.append(f"{total:.0f} steps skipped among the last {total + len(skipped):.0f}, up to {worst:.0f} in a row")
    return Found(
        severity,
        f"the gradient scaler skips steps ({percent(share)} of the last ones) and its scale is {number(scale)}",
        tuple(keys),
        step,
        (
            Evidence("amp.scale", scale, limit["scale"], "a scale under 1 means that the forward pass overflows", step,
                     at.step),
            Evidence("step.skipped", worst, limit["skips"], "steps skipped in a row", step, at.step),
        ),
        _remedies("the layer that overflows", "no step is skipped over 100 steps and the scale stays above 1"),
        "If it goes on in bfloat16, the run diverges for another reason: lower the learning rate.",
        exact=True,
    )  # fmt: skip


def _remedies(place: str, expect: str) -> tuple[Remedy, ...]:
    return (
        Remedy(BFLOAT, 'autocast("cuda", torch.float16) and GradScaler → autocast("cuda", torch.bfloat16)', expect),
        Remedy(WIDER, f"{place} in float16 → with autocast(enabled=False), its input .float()", expect),
        Remedy(SMALLER, f"{place} as it is → a normalisation in front of it, or a smaller initialisation", expect),
    )


RULE = Rule(
    "amp-overflow",
    "half precision overflows",
    "invariant",
    ("amp.scale", "step.skipped", "loss.train"),
    (BFLOAT, WIDER, SMALLER),
    "Range of float16 (65,504); a scaler that halves its scale at each skip needs ten skips from 65,536 to 64.",
    check,
    {"scale": 1, "skips": 10, "often": 0.25, "window": 100},
    votes=(1, 1),
)
