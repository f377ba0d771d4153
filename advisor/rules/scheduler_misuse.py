"""scheduler-misuse."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import DENSE, Context
from ..finding import Abstain, Found, number
from ..learning_rate import UNPLANNED, first_ratio
from ..rule import Rule

ORDER = "Step the scheduler after the optimizer"
HORIZON = "Give the schedule the steps that are planned"
RHYTHM = "Step the scheduler as often as its numbers mean"
CALL = "Step the scheduler"
DECAY = "Let the rate fall"
DECAYS = ("CosineAnnealingLR", "OneCycleLR", "PolynomialLR")
"""Schedules that are meant to end with the training."""
BY_EPOCH = ("StepLR", "ExponentialLR")
"""Schedules whose numbers nearly always mean epochs."""


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The schedule of the learning rate and the training do not fit together.

    Why it matters
        A schedule that ends early trains the rest with a rate of almost nothing, or with one that rises again; one
        that ends late never brings the rate down; one that is stepped per batch where epochs were meant is over
        within the first epochs. Each of them looks like a net that does not want to learn.

    How it is decided
        Exact, from the scheduler's own settings and the steps that are planned: stepped before the optimizer; never
        stepped in three epochs; a cosine, one-cycle or polynomial that ends before 80 % of the plan, or (*watch*) over
        1.2 times behind it, *warn* where the two differ by as much as an epoch has steps; a StepLR or ExponentialLR
        stepped per batch that has brought the rate under 1 % of its highest before 30 % of the plan. A rate that is
        multiplied by the same factor over 1 again and again (the gamma of an ExponentialLR, or 20 equal rises from the
        first step on, five of epochs): at the end of the plan a step would be over ten times as large as the weights,
        as the first one shows; or it has risen a hundredfold and the loss no longer falls.

    When it is a false alarm
        A cosine that is to rise again is better written as CosineAnnealingWarmRestarts. A run that is to be stopped
        early, or gone on with later, has a longer schedule on purpose. A range test of the learning rate, which begins
        at next to nothing or whose schedule names its end, is not judged; another one is told where it goes on far
        beyond the rate at which the loss no longer falls.

    What to do
        T_max, or total_steps, in the unit in which step() is called: steps where it is called per batch, epochs where
        it is called per epoch.
    """
    schedulers = at.facts.get("scheduler")
    if at.searched:
        raise Abstain("the schedule is a range test of the learning rate")
    if at.no_goal:
        raise Abstain("several schedules, or none that is meant to end")
    if not schedulers:
        if found := _grows(at, {}, limit):
            return found
        raise Abstain("no scheduler was seen")
    known = schedulers[0]
    return (
        _order(at, known)
        or _never(at, known, limit)
        or _horizon(at, known, limit)
        or _rhythm(at, known, limit)
        or _grows(at, known, limit)
    )


def _order(at: Context, known: Mapping[str, Any]) -> Found | None:
    if not known.get("before_optimizer"):
        return None
    return _found(
        at, known, "warn",
        f"{_name(known)} is stepped before the optimizer: the first value of its schedule is skipped",
        "scheduler.step() came before the first optimizer.step()",
        Remedy(ORDER, f"scheduler.step(); optimizer.step() → optimizer.step(); scheduler.step(){_place(known)}",
               "the learning rate of step 1 is the one that was set"),
        at.lr_at(at.step), at.lr,
    )  # fmt: skip


def _never(at: Context, known: Mapping[str, Any], limit: Mapping[str, float]) -> Found | None:
    epochs = float(at.view("epoch").scalar[-1]) if at.has("epoch") else 0.0
    if known.get("every") is not None or known.get("stepped") or epochs <= limit["epochs"] or not at.lr_steady:
        return None
    return _found(
        at, known, "warn", f"{_name(known)} was made and never stepped in {epochs - 1:.0f} epochs",
        "the learning rate has been constant since step 1",
        Remedy(CALL, f"no call → scheduler.step() after each epoch{_place(known)}", "the learning rate moves"),
        at.lr_at(at.step), at.lr,
    )  # fmt: skip


def _horizon(at: Context, known: Mapping[str, Any], limit: Mapping[str, float]) -> Found | None:
    end = at.facts.get("schedule_end")
    if not end or at.planned is None or str(known.get("class")) not in DECAYS:
        return None
    ratio = float(end) / at.planned
    if limit["early"] <= ratio <= limit["late"]:
        return None
    epoch = float(at.facts.get("steps_per_epoch") or 0)
    mixed = epoch > 1 and any(0.8 < factor / epoch < 1.25 for factor in (ratio, 1 / ratio))
    severity: Severity = "warn" if mixed or ratio < limit["early"] else "watch"
    setting = next((s for s in ("T_max", "total_steps", "total_iters") if s in (known.get("settings") or {})), "T_max")
    value = float((known.get("settings") or {}).get(setting) or end)
    why = f"the two differ by the {epoch:.0f} steps of an epoch" if mixed else "the numbers come from the script itself"
    then = "it rises again, or stays at almost nothing" if ratio < 1 else "it never comes down"
    return _found(
        at, known, severity,
        f"{_name(known)} ends after {float(end):,.0f} steps, {at.planned:,} are planned: {then}", why,
        Remedy(HORIZON, f"{setting}={number(value)} → {number(value / ratio)}{_place(known)}",
               f"the learning rate is at its end at step {at.planned:,}"),
        float(end), float(at.planned),
    )  # fmt: skip


def _rhythm(at: Context, known: Mapping[str, Any], limit: Mapping[str, float]) -> Found | None:
    if known.get("every") != "step" or str(known.get("class")) not in BY_EPOCH or at.planned is None:
        return None
    steps, rates = at.learning_rates
    top = int(np.argmax(rates))
    low = top + np.flatnonzero(rates[top:] < limit["gone"] * at.lr)
    if not len(low) or int(steps[low[0]]) > limit["soon"] * at.planned:
        return None
    gone, now = int(steps[low[0]]), at.lr_at(at.step)
    return _found(
        at, known, "warn", f"{_name(known)} is stepped per batch: lr {number(now)}, almost nothing since step {gone}",
        f"it began at {number(at.lr)}, and {at.planned - at.step:,} steps are still planned",
        Remedy(RHYTHM, f"scheduler.step() after each batch → after each epoch{_place(known)}",
               f"the learning rate is above {number(0.5 * at.lr)} after an epoch"),
        now, at.lr,
    )  # fmt: skip


def _grows(at: Context, known: Mapping[str, Any], limit: Mapping[str, float]) -> Found | None:
    """The rate is multiplied by the same factor again and again: no rate stays right under it. It has led far already
    and the loss no longer falls, or by the end of the plan a single step would replace the weights many times."""
    factor, every = _factor(at, known, limit)
    early = at.planned is None and at.step < at.track.segment.first_step + DENSE
    if factor <= 1 or early or at.lr_at(at.step) < at.lr:
        return None
    begun = float(at.learning_rates[1][0])
    grown, first = at.lr / begun, first_ratio(at)
    left = ((at.planned or max(at.step, UNPLANNED)) - at.step) / every
    end = math.exp(min(math.log(at.lr) + left * math.log(factor), 100.0))
    if first is not None and first[0] * end / first[1] > limit["replaced"]:
        why = f"at the end of the plan it would be {number(end)}, and a step {number(first[0] * end / first[1])} times "
        why += "as large as the weights"
    elif grown > limit["grown"] and not at.falling:
        why = "the loss no longer falls"
    else:
        return None
    name, setting = (_name(known), "gamma") if known else ("the script", "factor")
    return _found(
        at, known, "warn", f"{name} multiplies the rate by {number(factor)} each time: {number(at.lr)} now",
        f"it began at {number(begun)}; {why}",
        Remedy(DECAY, f"{setting}={number(factor)} → {number(1 / factor)}{_place(known)}",
               "the learning rate is at its highest at the first step"),
        at.lr, begun,
    )  # fmt: skip


def _factor(at: Context, known: Mapping[str, Any], limit: Mapping[str, float]) -> tuple[float, float]:
    """(what the rate is multiplied by, every how many steps): as an ExponentialLR says, or as all rates so far show;
    a factor of 1 where it is not that."""
    steps, rates = at.schedule.steps, at.schedule.rates
    gaps = np.diff(steps)[1:]
    if str(known.get("class")) == "ExponentialLR":
        epoch = float(at.facts.get("steps_per_epoch") or 1)
        return float((known.get("settings") or {}).get("gamma") or 1), epoch if known.get("every") == "epoch" else 1.0
    if len(rates) <= limit["rounds"] or np.min(rates) <= 0 or np.any(gaps != gaps[0]):
        return 1.0, 1.0
    if gaps[0] == 1 and len(rates) <= limit["changes"]:
        return 1.0, 1.0
    moves = np.diff(np.log(rates.astype(np.float64)))
    even = float(np.ptp(moves)) < limit["even"] * abs(float(np.mean(moves)))
    return (float(np.exp(np.mean(moves))), float(gaps[0])) if even else (1.0, 1.0)


def _found(
    at: Context,
    known: Mapping[str, Any],
    severity: Severity,
    what: str,
    why: str,
    fix: Remedy,
    value: float,
    planned: float,
) -> Found:
    return Found(
        severity,
        what,
        (why,),
        at.track.segment.first_step + 1,
        (Evidence("lr", value, planned, f"{_name(known)} against what is planned", 1, at.step),),
        (fix,),
        "Print scheduler.get_last_lr() at each epoch: it should end low, and only at the end.",
        exact=True,
    )


def _name(known: Mapping[str, Any]) -> str:
    return str(known.get("class") or "the scheduler")


def _place(known: Mapping[str, Any]) -> str:
    return f" ({known['where']})" if known.get("where") else ""


RULE = Rule(
    "scheduler-misuse",
    "the schedule does not fit the training",
    "invariant",
    ("lr", "epoch", "update.ratio", "loss.train"),
    (ORDER, CALL, HORIZON, RHYTHM, DECAY),
    "Note T18; exact: settings of the scheduler against the planned steps.",
    check,
    {
        "epochs": 3,
        "early": 0.8,
        "late": 1.2,
        "soon": 0.3,
        "gone": 0.01,
        "grown": 100,
        "replaced": 10,
        "changes": 20,
        "rounds": 5,
        "even": 0.01,
    },
    votes=(1, 1),
)
