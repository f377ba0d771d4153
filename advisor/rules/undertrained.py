"""undertrained."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy
from nnwatch.metric import CONFIDENCE_BINS

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..rule import Rule
from ..window import finite, median

LONGER = "Train longer"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The plan ends while the net still learns as it did from the start, or is still unsure.

    Why it matters
        The cheapest improvement there is: nothing to change but the number of epochs.

    How it is decided
        At the end: a quarter or more of all that the loss has lost was lost in the last fifth of the steps, where a
        curve that has bent loses a few per cent, and over 5 % of the loss of then; 70 % of the first loss is left:
        *warn* where the whole plan has under 100 steps, else *watch*: nets that are learned late do so too. In the last
        tenth of the plan: the median confidence of the predictions is under half of the way from a guess to certainty,
        over the newest batches of the second half of the run; the training loss still falls (Mann-Kendall), and the
        validation loss, where measured, is not over the training loss by a tenth: *info*; *warn* where the whole plan
        has under 100 steps and 70 % of the first loss is left.

    When it is a false alarm
        Label smoothing (not judged), mixup, distillation and noisy labels keep the confidence low on purpose; a
        schedule that has come to its end makes a longer run a different one.

    What to do
        Three to ten times as many steps where most of the loss is left, by the pace so far, else a third more; with the
        schedule stretched to the new end.
    """
    if (at.facts.get("loss") or {}).get("label_smoothing") or at.no_goal:
        raise Abstain("the confidence is kept low on purpose")
    if not at.over and (at.planned is None or at.step < limit["late"] * at.planned):
        raise Abstain("judged in the last tenth of the plan")
    return _unbent(at, limit) or _unsure(at, limit)


def _unbent(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The loss falls as fast at the end as it did on average."""
    losses = finite(at.loss.scalar)
    n, k = len(losses), max(2, len(losses) // 10)
    if not at.over or n < limit["losses"]:
        return None
    first, now = at.initial_loss, median(losses[-k:])
    then = median(losses[int(0.8 * n) - k : int(0.8 * n)])
    if not (first > then > 0 and now > limit["remains"] * first and then - now > limit["falls"] * then):
        return None
    share = (then - now) / (first - now)
    if share < limit["share"]:
        return None
    step = int(at.loss.steps[int(0.8 * n)])
    return Found(
        "warn" if at.horizon < limit["few"] else "watch",
        f"the loss still fell from {number(then)} to {number(now)} in the last fifth of {at.step:,} steps",
        (
            f"{percent(share)} of all that it has lost since {number(first)} was lost there",
            f"{percent(now / first)} of the first loss is left",
        ),
        step,
        (Evidence("loss.train", now, then, "loss at the end against a fifth of the run before", step, at.step),),
        (_longer(at, _times(first, now) * at.step, then - now),),
        "If the loss stops falling before, the net is too small rather than trained too short.",
    )


def _times(first: float, now: float) -> float:
    """How many times as long: what is left would take that many steps at the pace so far, and a curve bends: twice
    that; from 3 to 10 times."""
    return min(max(1 + 2 * now / max(first - now, 1e-12), 3.0), 10.0)


def _longer(at: Context, steps: float, loss: float) -> Remedy:
    return Remedy(LONGER, f"{at.horizon:,} steps → {steps:,.0f}, with the schedule to match",
                  f"the loss is under {number(at.recent_loss() - loss)} at the end")  # fmt: skip


def _unsure(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Half of the predictions are nearer to a guess than to certainty."""
    classes = int(at.facts.get("classes") or 0)
    if classes < 2:
        raise Abstain("the number of classes is not known")
    counts = np.asarray(np.nansum(at.late(at.view("confidence.train")).last(20).values, axis=0, dtype=np.float64))
    both = counts[:CONFIDENCE_BINS] + counts[CONFIDENCE_BINS:]
    if both.sum() < limit["samples"]:
        raise Abstain("too few predictions were seen")
    middle = (float(np.searchsorted(np.cumsum(both), both.sum() / 2)) + 0.5) / CONFIDENCE_BINS
    reference = 1 / classes + 0.5 * (1 - 1 / classes)
    if middle >= reference or not at.falling:
        return None
    ev, now = at.evaluations, at.recent_loss()
    if len(ev.loss) and float(ev.loss[-1]) > 1.1 * now:
        return None
    few = at.horizon < limit["few"] and now > limit["remains"] * at.first_loss
    return Found(
        "warn" if few else "info",
        f"the training ends at a median confidence of {percent(middle)}, and the loss still falls",
        (
            f"half of the predictions are less than {percent(middle)} sure; {percent(reference)} is half of the way",
            f"the loss still falls: {number(now)} now, {number(at.first_loss)} at first, after {at.step} steps",
        ),
        max(at.track.segment.first_step + 1, int(0.9 * at.horizon)),
        (Evidence("confidence.train", middle, reference, "median confidence against half of the way", 1, at.step),),
        (_longer(at, (_times(at.first_loss, now) if few else 1.3) * at.horizon, 0.1 * now),),
        "If the loss stops falling before, the net is too small rather than trained too short.",
    )  # fmt: skip


RULE = Rule(
    "undertrained",
    "the training ends too early",
    "statistical",
    ("confidence.train", "loss.train", "loss.val"),
    (LONGER,),
    "Note C77 (look at the distribution of the softmax).",
    check,
    {"late": 0.9, "samples": 200, "losses": 20, "share": 0.25, "falls": 0.05, "remains": 0.7, "few": 100},
    slow=True,
    goal=True,
)
