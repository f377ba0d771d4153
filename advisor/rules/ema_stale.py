"""ema-stale."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..rule import Rule
from ..window import block_medians, median, trend

UPDATE = "Update the average after each step"
DECAY = "Let the average forget faster"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The averaged copy of the model does not follow it.

    Why it matters
        The average is what is validated and saved. One that is never updated, or that forgets more slowly than the run
        is long, is mostly the untrained net.

    How it is decided
        With a known decay, after five times its memory of 1 / (1 - decay) steps: the distance between average and
        weights is still growing (Mann-Kendall over the second half of the run), it is over a quarter larger than it was
        halfway, and it is further than a step's typical change times the memory: *warn* for all three. A memory so long
        that over 30 % of the average will still be the first weights at the end of the plan is *watch*.

    When it is a false alarm
        A decay that is raised during the run. Averages that begin late (SWA) are not counted before they begin.

    What to do
        update_parameters after each optimizer step; a decay of 1 - 10 / planned steps.
    """
    ema = at.facts.get("ema")
    if not ema:
        raise Abstain("no averaged copy of the model was seen")
    if not ema.get("decay"):
        raise Abstain("the decay of the average is not known")
    decay, place = float(ema["decay"]), f" ({ema['where']})" if ema.get("where") else ""
    memory = 1 / max(1 - decay, 1e-9)
    new = 1 - 10 / max(at.horizon, 20)
    forget = Remedy(DECAY, f"decay {decay:g} → {new:.4g}{place}", "the average ends as good as the weights, or better")
    left = decay**at.planned if at.planned else 0.0
    view = at.view("ema.distance")
    distance = median(view.scalar[-10:])
    if left > limit["left"] and at.step >= at.warmup:
        return Found(
            "watch",
            f"at the end {percent(left)} of the average will still be the first weights (decay {decay:g})",
            (f"{decay:g} to the power of {at.planned:,} planned steps is {number(left)}",),
            at.track.segment.first_step + 1,
            (Evidence("ema.distance", distance, None, "distance now", 1, at.step),),
            (forget,),
            "If the average is meant to be long, start it late, from trained weights.",
        )
    age = at.step - int(view.steps[0])
    if age < 5 * memory or len(view.steps) < limit["samples"]:
        raise Abstain("too early: the average is still filling")
    half = view.since(at.step - age // 2)
    halfway = median(half.scalar[:10])
    grows = trend(block_medians(half.scalar)) > 3 and at.exceeds(distance, limit["grown"] * halfway)
    if not grows:
        return None
    keys = [f"its distance to the weights was {number(halfway)} halfway and is {number(distance)} now"]
    severity: Severity = "watch"
    reach = _typical(at) * memory
    if 0 < reach < distance:
        keys.append(f"an average of the last {memory:.0f} steps would be within {number(reach)}")
        severity = "warn"
    return Found(
        severity,
        f"the average is {percent(distance)} away from the weights, and it goes on",
        tuple(keys),
        int(view.steps[0]),
        (Evidence("ema.distance", distance, reach or halfway, "distance against the reach of its memory", 1, at.step),),
        (
            Remedy(UPDATE, f"no call → update_parameters(model) after optimizer.step(){place}",
                   f"the distance stays under {number(reach or halfway)}"),
            forget,
        ),
        "If it is updated at each step, the copy was made of another model than the one that is trained.",
    )  # fmt: skip


def _typical(at: Context) -> float:
    """Typical change of a weight matrix in a step, 0 where not measured."""
    if not at.has("update.ratio"):
        return 0.0
    ratios = at.ratios(at.late(at.view("update.ratio")).last(100))
    return float(np.nan_to_num(median(ratios.ravel())))


RULE = Rule(
    "ema-stale",
    "the averaged model does not follow",
    "statistical",
    ("ema.distance", "update.ratio"),
    (UPDATE, DECAY),
    "An exponential average with decay d lags by no more than 1 / (1 - d) steps.",
    check,
    {"left": 0.3, "samples": 20, "grown": 1.25},
)
