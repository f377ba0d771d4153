"""step-outlier."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..rule import Rule
from ..window import median

FIND = "Find what happens at these steps"
COLLECT = "Collect garbage less often"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Some steps take far longer than the others, and it adds up.

    Why it matters
        A mean of step times hides it: one step in twenty that takes ten times as long costs a third of the run.

    How it is decided
        Steps over eight robust standard deviations, and over twice the median, in the newest window of 100 or more.
        Those with an evaluation or a checkpoint in them are put down to these, and steps that were measured more
        closely to that. The rest is told, as a fact, when there are five or more, a tenth of the steps at most, that
        together cost over a tenth of the time. Where a step takes under five milliseconds the machine's own noise is
        larger than that.

    When it is a false alarm
        A machine that is shared with others, and work the script does every so many steps (pictures, logs to a server).

    What to do
        Look at what is common to these steps: a fixed distance (logging, garbage collection), the same files, the start
        of an epoch (persistent_workers=True).
    """
    view = at.window(at.view("step.seconds").since(at.track.segment.first_step + 20))
    seconds = view.scalar.astype(np.float64)
    if len(seconds) < limit["steps"]:
        raise Abstain("too few steps to know the usual one")
    usual = median(seconds)
    if usual < limit["seconds"]:
        raise Abstain("steps this short vary with whatever else the machine does")
    sigma = 1.4826 * median(np.abs(seconds - usual))
    odd = np.flatnonzero(seconds > max(usual + 8 * sigma, 2 * usual))
    if len(odd) < limit["least"]:
        return None
    known = _explained(at)
    unknown = [i for i in odd if int(view.steps[i]) not in known]
    lost = float(np.sum(seconds[unknown] - usual))
    share = lost / float(np.nansum(seconds))
    if not limit["least"] <= len(unknown) <= 0.1 * len(seconds) or not at.exceeds(share, limit["share"]):
        return None
    steps = view.steps[unknown]
    apart = np.diff(steps)
    regular = len(apart) > 3 and np.ptp(apart) <= 0.2 * np.median(apart)
    rhythm = f", one every {np.median(apart):.0f} steps" if regular else ""
    longest = float(np.max(seconds[unknown]))
    expect = f"no step takes over {number(2e3 * usual)} ms"
    remedies = [Remedy(FIND, f"steps {', '.join(map(str, steps[-3:]))} as they are → timed one by one", expect)]
    if not regular:
        remedies.append(Remedy(COLLECT, "automatic → gc.disable(), and gc.collect() every 1,000 steps", expect))
    return Found(
        "info",
        f"{len(unknown)} of {len(seconds)} steps take up to {number(longest)} s, {number(usual)} is usual{rhythm}",
        (f"they cost {percent(share)} of the time; {len(odd) - len(unknown)} more had an evaluation or a checkpoint",),
        int(steps[0]),
        (Evidence("step.seconds", longest, usual, "longest step against the usual one", int(steps[0]), at.step),),
        tuple(remedies),
        "If they come at no fixed distance, look at what else runs on the machine then.",
    )


def _explained(at: Context) -> set[int]:
    """Steps that an evaluation or a checkpoint falls into (the one after which it ran, and the next), and those that
    were sampled."""
    evaluated = {int(step) for step in at.evaluations.steps}
    saved = {e.step for name in ("checkpoint.saved", "checkpoint.loaded", "phase") for e in at.events(name)}
    sampled = {int(step) for step in at.view("update.ratio").steps} if at.has("update.ratio") else set()
    return {step + more for step in evaluated | saved for more in (0, 1)} | sampled


RULE = Rule(
    "step-outlier",
    "some steps take much longer",
    "fact",
    ("step.seconds", "loss.val", "update.ratio"),
    (FIND, COLLECT),
    "SageMaker Debugger's StepOutlier (3 standard deviations) fires on any run, so here they must cost a tenth.",
    check,
    {"share": 0.1, "least": 5, "steps": 100, "seconds": 0.005},
)
