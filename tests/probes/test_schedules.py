"""Facts: schedules of the learning rate, how often each steps, and in which order."""

from __future__ import annotations

import pytest
import torch

from nnwatch.probes.schedules import Schedules

from .harness import runs

SCHEDULED = """
    import json, math, random, sys
    import numpy as np
    import torch, torch.nn as nn, torch.nn.functional as F
    from torch.optim import lr_scheduler as S
    from torch.utils.data import DataLoader, TensorDataset
    from functools import partial
    kind, pace = sys.argv[1], sys.argv[2]
    model = nn.Linear(5, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(TensorDataset(torch.randn(48, 5), torch.randint(0, 3, (48,))), batch_size=4)

    def decay(step, num_warmup_steps, num_training_steps):
        return max(0.0, 1 - step / num_training_steps)

    def closed(num_training_steps):
        return lambda step: max(0.0, 1 - step / num_training_steps)

    scheduler = {
        "cosine": lambda: S.CosineAnnealingLR(optimizer, T_max=4),
        "onecycle": lambda: S.OneCycleLR(optimizer, max_lr=0.1, total_steps=48),
        "lambda": lambda: S.LambdaLR(optimizer, partial(decay, num_warmup_steps=5, num_training_steps=48)),
        "closure": lambda: S.LambdaLR(optimizer, closed(48)),
        "chain": lambda: S.SequentialLR(
            optimizer, [S.LinearLR(optimizer, total_iters=8), S.CosineAnnealingLR(optimizer, 40)], [8]
        ),
        "steps": lambda: S.MultiStepLR(optimizer, [2, 3]),
        "plateau": lambda: S.ReduceLROnPlateau(optimizer),
    }[kind]()
    epoch = 0
    while epoch < 4 or not sys.argv:
        for a, b in loader:
            if pace == "first":
                scheduler.step()
            optimizer.zero_grad()
            loss = F.cross_entropy(model(a), b)
            loss.backward()
            optimizer.step()
            if pace == "step":
                scheduler.step()
        if pace == "epoch":
            scheduler.step(*([loss.item()] if kind == "plateau" else []))
        epoch += 1
"""


SCHEDULES = [
    ("cosine", "epoch", "CosineAnnealingLR", 48),
    ("onecycle", "step", "OneCycleLR", 48),
    ("lambda", "step", "LambdaLR", 48),
    ("closure", "first", "LambdaLR", 48),
    ("chain", "step", "SequentialLR", 48),
    ("steps", "epoch", "MultiStepLR", 36),
    ("plateau", "epoch", "ReduceLROnPlateau", None),
]


@pytest.fixture(scope="module")
def scheduled():
    """What the script left with each of them."""
    kinds = [(kind, pace) for kind, pace, *_ in SCHEDULES]
    return dict(zip(kinds, runs(SCHEDULED, *kinds), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "pace", "name", "end"), SCHEDULES)
def test_schedules(scheduled, kind, pace, name, end):
    done = scheduled[kind, pace]
    assert done.returncode == 0, done.stderr
    assert not [event for event in done.events if event["name"] == "probe.failed"], done.events
    facts = done.facts()
    [schedule] = facts["scheduler"]
    assert schedule["class"] == name
    assert schedule["every"] == ("step" if pace == "first" else pace)
    assert schedule["before_optimizer"] is (pace == "first")
    assert schedule["where"].startswith("train.py:")
    assert facts.get("schedule_end") == end
    settings = schedule["settings"]
    match kind:
        case "cosine":
            assert (settings["T_max"], settings["eta_min"]) == (4, 0.0)
        case "onecycle":
            assert settings["total_steps"] == 48
        case "lambda" | "closure":
            assert settings["total"] == 48
        case "chain":
            assert settings["milestones"] == [8]
        case "steps":
            assert settings["milestones"] == [2, 3]
        case "plateau":
            assert (settings["patience"], settings["mode"]) == (10, "min")
    if kind in ("onecycle", "lambda"):
        assert facts["planned_steps"] == 48


@pytest.mark.parametrize("early", [True, False])
def test_the_order_of_schedule_and_optimizer_is_told_at_the_first_look(early):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 5)
    schedules = Schedules()
    schedules.made(scheduler)
    optimizer.step()
    if early:
        scheduler.step()
    looks = [schedules.facts([optimizer], 0, 1, None)]
    if not early:
        scheduler.step()  # with what follows it, an evaluation, still in the first step
    looks.append(schedules.facts([optimizer], 0, 1, None))
    assert [look["scheduler"][0]["before_optimizer"] for look in looks] == [early, early]
