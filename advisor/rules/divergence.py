"""divergence."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..changes import clip_change
from ..context import DENSE, Context
from ..finding import Abstain, Found, number
from ..fixes import RESTORE, restart
from ..learning_rate import CLIP, LOWER, lower_remedy
from ..nonfinite import GIVEN, Growth, Onset, growth, last_finite, onset
from ..rule import Rule
from ..window import Numbers, finite, median, medians

Verdict = tuple[Severity, tuple[str, ...], int]
"""Severity, keys and first step."""


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The loss runs away: it rises by factors and does not come back, or it rose until it was no number.

    Why it matters
        Weights that ran away do not return; every further step is lost.

    How it is decided
        At once: two steps that each at least double the loss, to ten times the highest before them. Fast: three
        rising losses, the last over ten times the first one of the run: that is *watch* at once (an outlier
        batch does it too), and an error when ten steps later the loss is not back under three times. Slow: all
        of the last five losses over three times the best median of five and over the first loss, and a gradient
        norm three times its usual. Losses of sampled actions, or of targets that the net makes itself, grow as
        these do: a hundred times the first loss, and nothing slow. Where losses are of both signs: ten in a row
        a million times as large as any of the first twenty. Targets that the net makes itself: they are 100,000
        times as large as in the first twenty sampled steps, and still grow. A NaN counts as divergence when
        loss, gradient or updates had grown before it.

    When it is a false alarm
        A learning-rate range test; a new term in the loss. Losses that can be negative have no ratios: of them only the
        size is judged, against the largest of the first twenty.

    What to do
        Go back to the last good checkpoint with a lower learning rate, clip the gradient, warm the rate up.
    """
    blown = onset(at)
    if blown is not None and blown.origin not in GIVEN:
        late = growth(at, blown.step)
        if late is not None:
            return _not_a_number(at, blown, late)
    if runaway := _runaway(at, limit):
        return runaway
    loss = at.loss.last(5000)
    values = finite(loss.scalar)
    if len(values) < 6:
        raise Abstain("too few losses yet")
    if float(np.min(values)) < 0:
        return _beyond_size(at, values, limit)
    first = at.initial_loss
    now = float(median(values[-5:]))
    running = _running(at, values, limit)
    key = running or _fast(at, values, limit) or _slow(at, values, limit)
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
        _remedies(at, step),
        "If it diverges again at a tenth of the rate, look for an outlier in inputs or targets at that step.",
        exact=running is not None,  # by the next step it may be a NaN
    )


def _runaway(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Targets that the net makes itself and that have left every scale: it learns from its own growing guesses."""
    if not at.moving_targets:
        return None
    means, stds = at.view("target.mean"), at.view("target.std").scalar
    if len(stds) != len(means.steps) or len(stds) < 2 * DENSE:
        return None
    sizes = np.hypot(means.scalar, np.nan_to_num(stds))
    first, half, now = (median(part) for part in (sizes[:DENSE], sizes[len(sizes) // 2 :][:DENSE], sizes[-DENSE:]))
    if not (now > limit["runaway"] * first > 0 and now > half):
        return None
    step = int(means.steps[int(np.argmax(sizes > limit["runaway"] * first))])
    return Found(
        "error",
        f"the targets grew from {number(first)} to {number(now)}, and so does the loss",
        (f"the targets, which the net makes itself, are {number(now / first)} times as large", "they still grow"),
        step,
        (Evidence("target.std", now, first, "size of the newest targets against the first", step, at.step),),
        _remedies(at, step),
        "If they grow at a tenth of the rate as well, look at the discount (under 1) and let the target network lag.",
        exact=True,
    )


def _beyond_size(at: Context, values: Numbers, limit: Mapping[str, float]) -> Found | None:
    """A loss of either sign whose size has left every scale: no likelihood and no return grows like that."""
    usual = float(np.max(np.abs(finite(at.loss.scalar[:DENSE]))))
    least = float(np.min(np.abs(values[-int(limit["patience"]) :])))
    if len(values) < DENSE + limit["patience"] or not least > limit["size"] * usual > 0:
        return None
    now, step = float(median(values[-5:])), at.step - int(limit["patience"]) + 1
    meaning = "size of the loss against the largest of the first twenty"
    return Found(
        "error",
        f"loss {number(now)}, {number(abs(now) / usual)} times as large as at the start ({number(usual)})",
        (
            f"none of the last {limit['patience']:.0f} losses is smaller than {number(least)} in size",
            "whatever its sign, it is on no scale that the net began on",
        ),
        step,
        (Evidence("loss.train", abs(now), usual, meaning, step, at.step),),
        _remedies(at, step),
        "If it falls without a bound, look at its sign: what is to become small is made large.",
    )


def _not_a_number(at: Context, blown: Onset, late: Growth) -> Found:
    return Found(
        "fatal",
        f"the numbers grew until they were none, at step {blown.step}",
        (*late.signs, f"not finite from step {blown.step} on"),
        blown.step,
        (last_finite(at, blown.step),),
        _remedies(at, blown.step),
        "If it diverges again at a tenth of the rate, look for an outlier in inputs or targets at that step.",
        title="diverged to NaN",
        exact=True,
    )


def _remedies(at: Context, step: int) -> tuple[Remedy, ...]:
    """Back to where all was well, a lower rate, a limit for the gradient that lets nine of ten healthy steps pass."""
    clip = Remedy(CLIP, clip_change(at, step), "the gradient norm stays under that limit and the loss falls")
    return lower_remedy(at), clip, *restart(at, step)


def _running(at: Context, values: Numbers, limit: Mapping[str, float]) -> Verdict | None:
    """The last two steps each at least doubled the loss, to ten times the highest that there was before."""
    before, (low, middle, high) = float(np.max(values[:-2])), map(float, values[-3:])
    if middle < 2 * low or high < 2 * middle or high <= limit["fast"] * before:
        return None
    return "error", (f"two steps took the loss from {number(low)} to {number(middle)} and {number(high)}",
                     f"the highest before was {number(before)}"), at.step - 1  # fmt: skip


def _fast(at: Context, values: Numbers, limit: Mapping[str, float]) -> Verdict | None:
    """A jump over ten times the first loss, or a hundred: *watch* while it rises, an error when it lasts."""
    first = max(at.initial_loss, 1e-12)
    low = np.flatnonzero(values <= limit["back"] * first)
    lasting = values[low[-1] + 1 if len(low) else 0 :]  # every loss since it was last under three times the first
    jump = limit["fast"] * (10 if at.drifting else 1)
    if not len(lasting) or float(np.max(lasting)) <= jump * first:
        return None
    step, highest = at.step - len(lasting) + 1, number(float(np.max(lasting)))
    if len(lasting) > limit["patience"]:
        reasons = (
            f"the loss rose to {highest}",
            f"{len(lasting)} steps later it is not back under {number(3 * first)}",
        )
        return "error", reasons, step
    if np.all(np.diff(values[-4:]) > 0):
        return "watch", (f"three rising losses in a row, up to {highest}",), step
    return None


def _slow(at: Context, values: Numbers, limit: Mapping[str, float]) -> Verdict | None:
    """All of the last five losses far over the best there was, with a gradient to match."""
    if at.step - at.track.segment.first_step < (60 if at.batchnorm else 20) or len(values) < 15:
        return None
    worst = float(np.min(values[-5:]))
    if worst <= at.initial_loss or at.drifting or not at.has("grad.norm"):
        return None
    blocks = values[len(values) % 5 :].reshape(-1, 5)
    best = float(np.min(medians(blocks)))
    if not at.exceeds(worst, limit["slow"] * best):
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


RULE = Rule(
    "divergence",
    "the loss diverges",
    "statistical",
    ("loss.train", "target.mean", "target.std", "grad.norm", "grad.clip.max", "update.ratio", "lr"),
    (LOWER, CLIP, RESTORE),
    "Small runs: fast 2-15 steps before the NaN (8 of 8), slow 15-39 steps before (4 of 4), no plain healthy run of 8; "
    "an outlier batch every 100 steps fires the fast one, hence only *watch* until it lasts.",
    check,
    {"fast": 10, "slow": 3, "back": 3, "patience": 10, "lost": 1e3, "size": 1e6, "runaway": 1e5},
    goal=True,
)
