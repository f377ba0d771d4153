"""divergence."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number
from ..learning_rate import CLIP, LOWER, lower_remedy
from ..nonfinite import Growth, Onset, growth, last_finite, onset
from ..rule import Rule
from ..window import finite, median


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The loss runs away: it rises by factors and does not come back, or it rose until it was no number.

    Why it matters
        Weights that ran away do not return; every further step is lost.

    How it is decided
        Fast: three rising losses, the last over ten times the median of the first three ones of the run, with a rising
        gradient: that is *watch* at once (an outlier batch does it too), and an error when ten steps later the loss is
        not back under three times. Slow: all of the last five losses over three times the best median of five and over
        the first loss, and a gradient norm three times its usual. A NaN counts as divergence when loss, gradient or
        updates had grown before it.

    When it is a false alarm
        A learning-rate range test; a new term in the loss. Losses that can be negative are not judged.

    What to do
        Go back to the last good checkpoint with a lower learning rate, clip the gradient, warm the rate up.
    """
    blown = onset(at)
    if blown is not None and blown.origin not in ("input", "target"):
        late = growth(at, blown.step)
        if late is not None:
            return _not_a_number(at, blown, late)
    loss = at.loss.last(5000)
    values = finite(loss.scalar)
    if len(values) < 6:
        raise Abstain("too few losses yet")
    if float(np.min(values)) < 0:
        raise Abstain("the loss can be negative: its ratios mean nothing")
    first = at.initial_loss
    now = float(median(values[-5:]))
    key = _fast(at, values, limit) or _slow(at, values, limit)
    if key is None:
        return None
    severity, reasons, step = key
    if now > limit["lost"] * first and severity == "error":
        severity = "fatal"
    return Found(
        severity,
        f"loss {number(now)}, {number(now / max(first, 1e-12))} times that of the untrained net ({number(first)})",
        reasons,
        step,
        (Evidence("loss.train", now, first, "median of the last five losses against the first", step, at.step),),
        _remedies(at),
        "If it diverges again at a tenth of the rate, look for an outlier in inputs or targets at that step.",
    )


def _not_a_number(at: Context, blown: Onset, late: Growth) -> Found:
    return Found(
        "fatal",
        f"the numbers grew until they were none, at step {blown.step}",
        (*late.signs, f"not finite from step {blown.step} on"),
        blown.step,
        (last_finite(at, blown.step),),
        _remedies(at),
        "If it diverges again at a tenth of the rate, look for an outlier in inputs or targets at that step.",
        title="diverged to NaN",
        exact=True,
    )


def _remedies(at: Context) -> tuple[Remedy, ...]:
    change = "no clipping → clip_grad_norm_(model.parameters(), 1.0)"
    if at.has("grad.norm"):
        norms = finite(at.view("grad.norm").last(200).scalar)
        if len(norms):
            change = f"no clipping → clip_grad_norm_(model.parameters(), {number(float(np.quantile(norms, 0.5)))})"
    if at.has("grad.clip.max"):
        change = f"max_norm {number(float(at.view('grad.clip.max').scalar[-1]))} → a third of it"
    return lower_remedy(at), Remedy(CLIP, change, "the gradient norm stays under that limit and the loss falls")


def _fast(at: Context, values: np.ndarray, limit: Mapping[str, float]) -> tuple[Severity, tuple[str, ...], int] | None:
    """A jump over ten times the level of the start within the last steps, and whether it lasts."""
    start = median(at.loss.scalar[:3])
    reference = max(start, 1e-12)
    recent = values[-(int(limit["patience"]) + 4) :]
    rising = np.flatnonzero(
        (recent[3:] > limit["fast"] * reference)
        & (recent[3:] > recent[2:-1])
        & (recent[2:-1] > recent[1:-2])
        & (recent[1:-2] > recent[:-3])
    )
    above = np.flatnonzero(values <= limit["back"] * reference)
    since = len(values) - 1 - (int(above[-1]) if len(above) else -1)  # steps over three times without a break
    if (
        since > limit["patience"]
        and values[-1] > limit["back"] * reference
        and np.max(values[-since:]) > 10 * reference
    ):
        step = at.step - since + 1
        return (
            "error",
            (_rose(values, since), f"{since} steps later it is not back under {number(3 * reference)}"),
            step,
        )
    if len(rising):
        return (
            "watch",
            (f"three rising losses, the last {number(float(recent[-1] / reference))} times the first",),
            at.step,
        )
    return None


def _slow(at: Context, values: np.ndarray, limit: Mapping[str, float]) -> tuple[Severity, tuple[str, ...], int] | None:
    if at.step - at.track.segment.first_step < (60 if at.batchnorm else 20) or len(values) < 15:
        return None
    blocks = values[len(values) % 5 :].reshape(-1, 5)
    best = float(np.min(np.median(blocks, axis=1)))
    worst = float(np.min(values[-5:]))
    if not (at.exceeds(worst, limit["slow"] * best) and worst > at.initial_loss) or not at.has("grad.norm"):
        return None
    norms = at.view("grad.norm").last(55).scalar
    usual, now = median(norms[:-5]), median(norms[-5:])
    if not (math.isfinite(usual) and at.exceeds(now, limit["slow"] * usual)):
        return None
    reasons = (
        f"the gradient norm is {number(now)}, {number(usual)} is usual",
        f"none of the last five losses is under {number(worst)}; the best median of five was {number(best)}",
    )
    return "error", reasons, at.step - 5


def _rose(values: np.ndarray, since: int) -> str:
    return f"the loss rose to {number(float(np.max(values[-since:])))}"


RULE = Rule(
    "divergence",
    "the loss diverges",
    "statistical",
    ("loss.train", "grad.norm", "grad.clip.max", "update.ratio", "lr"),
    (LOWER, CLIP),
    "Small runs: fast 2-15 steps before the NaN (8 of 8), slow 15-39 steps before (4 of 4), no plain healthy run of 8; "
    "an outlier batch every 100 steps fires the fast one, hence only *watch* until it lasts.",
    check,
    {"fast": 10, "slow": 3, "back": 3, "patience": 10, "lost": 1e3},
    goal=True,
)
