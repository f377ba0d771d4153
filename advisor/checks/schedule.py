"""schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..check import Check, Verdict
from ..finding import Abstain, number, percent
from ..place import of_scheduler
from ..trials import Trials

BY_EPOCH = ("StepLR", "MultiStepLR", "ExponentialLR")
"""Schedules whose numbers nearly always mean epochs."""
PLATEAU = "ReduceLROnPlateau"


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """The schedule of the learning rate, run to its end.

    Why it matters
        A T_max in epochs that is stepped per batch is over in the first epoch, and the rest of the training stands
        still. One that is stepped further than it goes raises, hours in.

    How it is decided
        The scheduler is simulated over the planned steps: an exception on the way is an error; a rate under 1 % of
        its highest before 70 % of them is a warning, and so is a rate that still rises at the end and has not come to
        what was set (a warm-up longer than the training). So is what the rule scheduler-misuse finds in its settings
        (order of the calls, an end far from the plan). ReduceLROnPlateau goes by validation and is not simulated:
        stepped with every batch, its patience counts batches, which is a warning.

    When it is a false alarm
        Runs that are meant to be stopped early.

    What to do
        T_max or total_steps in the unit in which step() is called.
    """
    if not (rows := at.facts.get("scheduler")):
        return None
    if len(rows) == 1 and rows[0].get("class") == PLATEAU:
        return _plateau(at, rows[0])
    raised = (at.experiments.get("scheduler") or {}).get("raised")
    if raised is not None:
        return _raises(at, rows[0], int(raised))
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
    steps = int(told.get("planned") or len(rates))
    if len(rates) < 2 or not max(rates) > 0:
        return seen
    return (
        _too_soon(at, rows[0], rates, steps, limit)
        or _too_late(at, rates, steps, told.get("intended"))
        or Verdict(
            "pass",
            f"the rate goes from {number(rates[0])} over {number(max(rates))} to {number(rates[-1])}",
            rates[-1],
            max(rates),
        )
    )


def _plateau(at: Trials, row: Mapping[str, Any]) -> Verdict:
    patience, factor = (int((row.get("settings") or {}).get("patience", 10)), (row.get("settings") or {}).get("factor"))
    if row.get("every") != "step":
        by = f" by {number(float(factor))}" if factor else ""
        return Verdict("pass", f"the rate falls{by} after {patience} epochs of validation without progress")
    return Verdict(
        "warn",
        f"{PLATEAU} is stepped with every batch: its patience of {patience} are batches, whose losses differ by chance",
        float(patience),
        None,
        f"scheduler.step(loss) after each batch → scheduler.step(val_loss) after each epoch{of_scheduler(at)}",
        "the rate is the same for some epochs",
    )


def _raises(at: Trials, row: Mapping[str, Any], raised: int) -> Verdict:
    planned = int(at.trial("scheduler")["planned"])
    said = f"{row.get('class')} has no more than {raised - 1:,} steps: the training raises after step {raised:,}"
    return Verdict(
        "error",
        f"{said} of {planned:,}",
        float(raised - 1),
        float(planned),
        f"total_steps={raised - 1} → {planned}{of_scheduler(at)}",
        "the training comes to its end",
    )


def _too_soon(
    at: Trials, row: Mapping[str, Any], rates: list[float], steps: int, limit: Mapping[str, float]
) -> Verdict | None:
    top = max(rates)
    low = next(
        (i for i in range(rates.index(top), len(rates)) if all(r < limit["gone"] * top for r in rates[i:])), None
    )
    if low is None or low >= limit["part"] * len(rates):
        return None
    share = low / len(rates)
    by_batch = row.get("every") == "step" and row.get("class") in BY_EPOCH
    change = (
        f"scheduler.step() after each batch → after each epoch{of_scheduler(at)}"
        if by_batch
        else f"the schedule{of_scheduler(at)} → T_max, total_steps or step_size for {steps:,} steps"
    )
    said = f"the rate is under 1 % of its highest after {percent(share)} of {steps:,} steps"
    return Verdict("warn", said, share, limit["part"], change, "the rate is low at the end only")


def _too_late(at: Trials, rates: list[float], steps: int, intended: float | None) -> Verdict | None:
    """It still rises at the end, and has not come to what was set."""
    if intended is None or not rates[len(rates) // 2] < rates[-1] == max(rates) or rates[-1] > 0.9 * intended:
        return None
    return Verdict(
        "warn",
        f"the rate still rises when the {steps:,} planned steps are over: {number(rates[-1])} of {number(intended)}",
        rates[-1],
        intended,
        f"the warm-up{of_scheduler(at)} → a tenth of {steps:,} steps at most",
        f"the rate comes to {number(intended)}",
    )


CHECK = Check("schedule", "a schedule that fits the plan", "Note T18.", judge, {"gone": 0.01, "part": 0.7})
