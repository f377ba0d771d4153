"""ema-stale."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..rule import Rule
from ..window import block_medians, finite, median, trend

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
        that over 30 % of the average will still be the first weights at the end of the plan is *watch*; *warn* from
        70 % on where half of the plan is over and the net began at random. Where the decay is not known: the distance
        has never been larger, and no evaluation is 5 % better than the first while the training loss has lost a fifth:
        *warn*.

    When it is a false alarm
        A decay that is raised during the run. Averages that begin late (SWA) are not counted before they begin.

    What to do
        update_parameters after each optimizer step; a decay of 1 - 10 / planned steps.
    """
    ema = at.facts.get("ema") or {}
    if not ema and not at.has("ema.distance"):
        raise Abstain("no averaged copy of the model was seen")
    if not ema.get("decay"):
        return _left_behind(at, ema, limit)
    decay, place = float(ema["decay"]), f" ({ema['where']})" if ema.get("where") else ""
    memory = 1 / max(1 - decay, 1e-9)
    new = 1 - 10 / max(at.horizon, 20)
    forget = Remedy(DECAY, f"decay {decay:g} → {new:.4g}{place}", "the average ends as good as the weights, or better")
    left = decay**at.planned if at.planned else 0.0
    view = at.view("ema.distance")
    distance = median(view.scalar[-10:])
    if left > limit["left"] and at.step >= at.warmup:
        now = decay ** (at.step - at.track.segment.first_step)
        late = at.step >= at.track.segment.first_step + 0.5 * (at.planned or math.inf)
        keys = [f"{decay:g} to the power of {at.planned:,} planned steps is {number(left)}"]
        if left > limit["most"] and late and not at.finetune:
            keys.append(f"at step {at.step:,} {percent(now)} of it are weights that nothing has trained")
        return Found(
            "warn" if len(keys) > 1 else "watch",
            f"at the end {percent(left)} of the average will still be the first weights (decay {decay:g})",
            tuple(keys),
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


def _left_behind(at: Context, ema: Mapping[str, Any], limit: Mapping[str, float]) -> Found | None:
    """An average of unknown decay that the weights leave further and further behind, and that has learned nothing."""
    view, losses = at.view("ema.distance"), finite(at.evaluations.loss)
    late = at.step >= at.track.segment.first_step + 0.5 * at.horizon
    if not late or len(view.steps) < limit["samples"] or len(losses) < 3:
        raise Abstain("the decay of the average is not known: judged in the second half of the plan")
    if float(np.min(losses)) < limit["nothing"] * losses[0]:
        return None
    halfway, distance = median(view.since(at.step // 2).scalar[:3]), median(view.scalar[-3:])
    grows = trend(block_medians(view.scalar)) > 3 and distance > limit["farthest"] * float(np.nanmax(view.scalar))
    learned = at.recent_loss() < limit["learned"] * at.initial_loss
    if not (grows and learned):
        return None
    place = f" ({ema['where']})" if ema.get("where") else ""
    return Found(
        "warn",
        f"the average is {percent(distance)} away from the weights, and validation through it has learned nothing",
        (
            f"its distance to the weights was {number(halfway)} halfway and is {number(distance)} now",
            f"the training loss fell from {number(at.initial_loss)} to {number(at.recent_loss())}, the validation loss "
            f"from {number(float(losses[0]))} to no less than {number(float(np.min(losses)))}",
        ),
        int(view.steps[0]),
        (Evidence("ema.distance", distance, halfway, "distance now against halfway", 1, at.step),),
        (
            Remedy(
                DECAY, f"decay → {1 - 10 / max(at.horizon, 20):.4g}{place}", "the average ends as good as the weights"
            ),
        ),
        "If the decay is short enough, see whether the average is updated at each step, and by this very model.",
    )


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
    ("ema.distance", "update.ratio", "loss.val", "loss.train"),
    (UPDATE, DECAY),
    "An exponential average with decay d lags by no more than 1 / (1 - d) steps.",
    check,
    {"left": 0.3, "most": 0.7, "learned": 0.8, "nothing": 0.95, "farthest": 0.95, "samples": 20, "grown": 1.25},
    slow=True,
)
