"""The learning-rate schedule played to the planned end of the training."""

from __future__ import annotations

import warnings
from typing import Any

from .subject import NotPossibleError, Subject

POINTS = 200
MOST = 200_000
"""Steps of the scheduler that are played, at most."""


def schedule(subject: Subject) -> dict[str, Any]:
    rows = subject.fact("scheduler") or []
    if not rows:
        raise NotPossibleError("the script has no scheduler")
    if len(rows) > 1:
        raise NotPossibleError("there are several schedulers")
    planned = subject.fact("planned_steps")
    if not planned:
        raise NotPossibleError("the number of steps that the script plans is not known")
    if rows[0]["class"] == "ReduceLROnPlateau":
        raise NotPossibleError("ReduceLROnPlateau goes by what validation will give")
    pace = _pace(rows[0]["every"], subject.fact("steps_per_epoch"))
    if planned // pace > MOST:
        raise NotPossibleError(f"{planned:,} steps are too many to play")
    scheduler = subject.scheduler(rows[0]["class"])
    rates = _played(subject, scheduler, planned, pace)
    raised = len(rates) if len(rates) < planned else None
    intended = scheduler.optimizer.param_groups[0].get("initial_lr")
    places = [round(place * (len(rates) - 1) / (POINTS - 1)) for place in range(POINTS)]
    chosen = rates if len(rates) <= POINTS else [rates[place] for place in places]
    known = {"planned": planned, "order": bool(rows[0]["before_optimizer"]), "raised": raised}
    return {"rates": chosen, **known, "intended": float(intended) if intended is not None else None}


def _pace(every: str | None, per_epoch: int | None) -> int:
    """Training steps from one step of the scheduler to the next."""
    if every == "step":
        return 1
    if per_epoch:  # it has not stepped with the steps
        return per_epoch
    raise NotPossibleError("it cannot be told when the scheduler steps")


def _played(subject: Subject, scheduler: Any, planned: int, pace: int) -> list[float]:
    """The rate of each step: as it was, and then as it will be."""
    rates = subject.rates[:planned]
    group = scheduler.optimizer.param_groups[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of steps that no optimizer made
        if pace == 1 and scheduler.last_epoch < len(rates):  # the script was stopped in front of it
            scheduler.step()
        for step in range(len(rates) + 1, planned + 1):
            rates.append(float(group["lr"]))
            if step % pace == 0 and step < planned:
                try:
                    scheduler.step()
                except ValueError:  # its one cycle is over
                    break
    return rates
