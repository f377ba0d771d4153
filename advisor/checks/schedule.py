"""schedule."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import Abstain, number, percent
from ..place import of_scheduler
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """The schedule of the learning rate, run to its end.

    Why it matters
        A T_max in epochs that is stepped per batch is over in the first epoch, and the rest of the training stands
        still.

    How it is decided
        The scheduler is simulated over the planned steps: a rate under 1 % of its highest before 70 % of them is a
        warning. So is what the rule scheduler-misuse finds in its settings (order of the calls, an end far from the
        plan).

    When it is a false alarm
        Runs that are meant to be stopped early.

    What to do
        T_max or total_steps in the unit in which step() is called.
    """
    if not at.facts.get("scheduler"):
        return None
    try:
        seen = at.by_rules(("scheduler-misuse",), "the schedule fits the planned steps")
    except Abstain:
        seen = None
    if seen is not None and seen.state in ("warn", "error"):
        return seen
    if "scheduler" not in at.experiments and seen is not None:
        return seen
    told = at.trial("scheduler")
    rates = [float(rate) for rate in told.get("rates") or ()]
    planned = told.get("planned")
    if len(rates) < 2 or not max(rates) > 0:
        return seen
    top, steps = max(rates), planned or len(rates)
    low = next(
        (i for i in range(rates.index(top), len(rates)) if all(r < limit["gone"] * top for r in rates[i:])), None
    )
    if low is not None and low < limit["part"] * len(rates):
        at_share = low / len(rates)
        return Verdict(
            "warn",
            f"the rate is under 1 % of its highest after {percent(at_share)} of {steps} steps",
            at_share,
            limit["part"],
            f"the schedule{of_scheduler(at)} → T_max, total_steps or step_size for {steps} steps",
            "the rate is low at the end only",
        )
    return Verdict(
        "pass", f"the rate goes from {number(rates[0])} over {number(top)} to {number(rates[-1])}", rates[-1], top
    )


CHECK = Check("schedule", "a schedule that fits the plan", "Note T18.", judge, {"gone": 0.01, "part": 0.7})
