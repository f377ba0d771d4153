"""Schedules of torch's, played to the end of a plan, and what is said of them."""

from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from nnwatch.advisor.check import all_checks
from nnwatch.advisor.examine import examine
from nnwatch.probes.schedules import Schedules
from nnwatch.probes.trials.schedule import schedule
from nnwatch.probes.trials.subject import NotPossibleError
from nnwatch.trial import impossible

from ..advisor.test_checks import history

EPOCHS, PER_EPOCH = 30, 40
PLANNED = EPOCHS * PER_EPOCH
MADE = 200
"""Steps of the script as it is."""
CHECK = next(check for check in all_checks() if check.id == "schedule")


class Subject:
    """A script that has made some steps with a schedule, and what is known of it."""

    def __init__(self, make: Any, by: str, **settings: Any) -> None:
        weight = torch.nn.Parameter(torch.zeros(1))
        weight.grad = torch.zeros(1)
        self.optimizer = torch.optim.SGD([weight], lr=0.1)
        self._scheduler = make(self.optimizer, **settings)
        self._known = Schedules()
        self._known.made(self._scheduler)
        self._known.facts([self.optimizer], 0, 1, PER_EPOCH)
        self.rates: list[float] = []
        plateau = isinstance(self._scheduler, lr_scheduler.ReduceLROnPlateau)
        for step in range(1, MADE + 1):
            self.rates.append(float(self.optimizer.param_groups[0]["lr"]))
            self.optimizer.step()
            if step == MADE:
                break  # where a check stops the script
            if by == "step" or step % PER_EPOCH == 0:
                self._scheduler.step(*([1.0 + step] if plateau else []))
        found = self._known.facts([self.optimizer], 0, MADE, PER_EPOCH)
        self.facts = found | {"planned_steps": PLANNED, "steps_per_epoch": PER_EPOCH}

    def fact(self, name: str) -> Any:
        return self.facts.get(name)

    def scheduler(self, kind: str) -> Any:
        return self._scheduler


def said(make: Any, by: str, **settings: Any) -> Any:
    subject: Any = Subject(make, by, **settings)
    try:
        told = schedule(subject)
    except NotPossibleError as error:
        told = impossible("scheduler", error.why)
    session = {"facts": subject.facts, "loss.train": f"2.3*0.99x{MADE}", "lr": " ".join(map(str, subject.rates))}
    session["trials"] = {"scheduler": told}
    return examine(history(session), (CHECK,)).answers[0].verdict


WARM_UP = {"start_factor": 0.01, "end_factor": 1.0}


@pytest.mark.parametrize(
    ("make", "by", "settings", "state", "words"),
    [
        (lr_scheduler.OneCycleLR, "step", {"max_lr": 0.1, "total_steps": PLANNED}, "pass", "the rate goes from 0.004"),
        (lr_scheduler.OneCycleLR, "step", {"max_lr": 0.1, "total_steps": 600}, "error", "no more than 600 steps"),
        (lr_scheduler.CosineAnnealingLR, "step", {"T_max": PLANNED}, "pass", "the rate goes from 0.1"),
        (lr_scheduler.CosineAnnealingLR, "epoch", {"T_max": EPOCHS}, "pass", "the rate goes from 0.1"),
        (lr_scheduler.CosineAnnealingLR, "step", {"T_max": EPOCHS}, "warn", "CosineAnnealingLR ends after 30 steps"),
        (lr_scheduler.CosineAnnealingLR, "epoch", {"T_max": PLANNED}, "warn", "it never comes down"),
        (lr_scheduler.StepLR, "epoch", {"step_size": 10}, "pass", "to 0.001"),
        (lr_scheduler.StepLR, "step", {"step_size": 100}, "warn", "under 1 % of its highest after 25 %"),
        (lr_scheduler.ReduceLROnPlateau, "epoch", {"patience": 5}, "pass", "after 5 epochs of validation"),
        (lr_scheduler.ReduceLROnPlateau, "step", {"patience": 5}, "warn", "its patience of 5 are batches"),
        (lr_scheduler.LinearLR, "step", WARM_UP | {"total_iters": 100}, "pass", "over 0.1 to 0.1"),
        (lr_scheduler.LinearLR, "step", WARM_UP | {"total_iters": 5 * PLANNED}, "warn", "still rises when the 1,200"),
    ],
)
def test_what_is_said_of_a_schedule(make, by, settings, state, words):
    found = said(make, by, **settings)
    assert words in found.what
    assert found.state == state
    assert found.change or state == "pass"


def test_a_schedule_that_counts_epochs_is_told_to_be_stepped_by_them():
    found = said(lr_scheduler.StepLR, "step", step_size=100)
    assert "scheduler.step() after each batch → after each epoch" in found.change
