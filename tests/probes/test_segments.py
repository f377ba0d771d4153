"""Where one training ends and another begins: folds, sweeps, and what only looks like one."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from .harness import one_segment_each, runs, watched

SCRIPT = """
    import copy, json, sys
    import torch, torch.nn as nn, torch.nn.functional as F
    torch.manual_seed(0)
    x, y = torch.randn(48, 5), torch.randint(0, 3, (48,))
    trainings = []

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(5, 8), nn.Linear(8, 3)
        def forward(self, x):
            return self.b(self.a(x).relu())
        def reset_parameters(self):
            self.a.reset_parameters()
            self.b.reset_parameters()

    def train(model, optimizer, steps, scheduler=None, losses=None):
        if losses is None:
            trainings.append([])
        for _ in range(steps):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
            trainings[-1].append(loss.item())

    def folds():
        for fold in range(3):
            model = Net()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            train(model, optimizer, 11)

    def folds_that_are_kept():
        models, optimizers = [], []
        for fold in range(3):
            models.append(Net())
            optimizers.append(torch.optim.Adam(models[-1].parameters()))
            train(models[-1], optimizers[-1], 11)

    def sweep_with_schedules():
        for rate in (0.1, 0.01, 0.001):
            model = Net()
            optimizer = torch.optim.SGD(model.parameters(), lr=rate)
            train(model, optimizer, 11, torch.optim.lr_scheduler.StepLR(optimizer, 5))

    def loaded_again():
        model = Net()
        state = copy.deepcopy(model.state_dict())
        for fold in range(3):
            model.load_state_dict(state)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            train(model, optimizer, 11)

    def initialised_again():
        model = Net()
        for fold in range(3):
            model.reset_parameters()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            train(model, optimizer, 11)

    def initialised_by_apply():
        def init(module):
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
        model = Net()
        for fold in range(3):
            model.apply(init)
            train(model, torch.optim.SGD(model.parameters(), lr=0.1), 11)

    def both_loaded():
        model = Net()
        optimizer = torch.optim.Adam(model.parameters())
        state = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
        for fold in range(3):
            model.load_state_dict(state[0])
            optimizer.load_state_dict(state[1])
            train(model, optimizer, 11)

    def pairs():
        for fold in range(3):
            maker, judge = nn.Linear(2, 5), Net()
            one, two = torch.optim.SGD(judge.parameters(), lr=0.1), torch.optim.SGD(maker.parameters(), lr=0.1)
            trainings.append([])
            for step in range(6):
                for optimizer, made in ((one, maker(torch.randn(48, 2)).detach()), (two, maker(torch.randn(48, 2)))):
                    one.zero_grad()
                    two.zero_grad()
                    loss = F.cross_entropy(judge(made), y)
                    loss.backward()
                    optimizer.step()
                    trainings[-1].append(loss.item())

    # one training each

    def another_optimizer():
        model = Net()
        trainings.append([])
        for phase in range(3):
            train(model, torch.optim.SGD(model.parameters(), lr=0.1), 11, losses=trainings[-1])

    def the_head_alone():
        model = Net()
        trainings.append([])
        train(model, torch.optim.SGD(model.parameters(), lr=0.1), 11, losses=trainings[-1])
        model.a.requires_grad_(False)
        train(model, torch.optim.SGD(model.b.parameters(), lr=0.1), 11, losses=trainings[-1])

    def another_rate():
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        trainings.append([])
        for phase in range(3):
            train(model, optimizer, 11, losses=trainings[-1])
            state = optimizer.state_dict()
            state["param_groups"][0]["lr"] *= 0.5
            optimizer.load_state_dict(state)

    def averaged_for_validation():
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        trainings.append([])
        for phase in range(3):
            train(model, optimizer, 11, losses=trainings[-1])
            kept = copy.deepcopy(model.state_dict())
            model.load_state_dict({name: value * 0.9 for name, value in kept.items()})
            with torch.no_grad():
                F.cross_entropy(model(x[:20] + 1), y[:20].clone())
            model.load_state_dict(kept)

    def a_model_beside():
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        trainings.append([])
        train(model, optimizer, 11, losses=trainings[-1])
        other = Net()
        unused = torch.optim.SGD(other.parameters(), lr=0.1)
        train(model, optimizer, 11, losses=trainings[-1])

    for case in sys.argv[1:]:
        globals()[case]()
    print(json.dumps(trainings))
"""
SEVERAL = [
    "folds",
    "folds_that_are_kept",
    "sweep_with_schedules",
    "loaded_again",
    "initialised_again",
    "initialised_by_apply",
    "both_loaded",
    "pairs",
]
ONE = ["another_optimizer", "the_head_alone", "another_rate", "averaged_for_validation", "a_model_beside"]


@pytest.fixture(scope="module")
def left():
    """What the script left that makes several segments, and what the one that makes one."""
    return runs(SCRIPT, tuple(SEVERAL), tuple(ONE))


@pytest.mark.slow
def test_each_training_is_a_segment(left):
    done, _ = left
    one_segment_each(done)
    for number, (case, _) in enumerate(itertools.product(SEVERAL, range(3))):
        groups = 2 if case == "pairs" else 1
        facts = done.facts(number)
        assert done.values("lr", number).shape[1] == groups, case
        assert facts["planned_steps"] == (12 if case == "pairs" else 11), case
        assert len(facts["optimizers"]) == groups, case
        assert facts["model"]["class"] == ("Linear + Net" if case == "pairs" else "Net"), case
    reasons = [segment["reason"] for segment in done.segments]
    assert reasons.count("resume") == 2  # both_loaded, after its first
    assert reasons[0] == "start"


@pytest.mark.slow
def test_one_training_is_one_segment(left):
    _, done = left
    one_segment_each(done)
    assert len(done.segments) == len(ONE)


def test_epochs_are_counted_from_one_again(tmp_path):
    """Weights and optimizer are put back, as after a search for a learning rate; the loader is the same."""

    def train():
        model = nn.Linear(5, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loader = DataLoader(TensorDataset(torch.randn(12, 5), torch.randint(0, 3, (12,))), 4)
        saved = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
        for training in range(2):
            for _ in range(2):
                for a, b in loader:
                    optimizer.zero_grad()
                    F.cross_entropy(model(a), b).backward()
                    optimizer.step()
            if not training:
                model.load_state_dict(saved[0])
                optimizer.load_state_dict(saved[1])

    done = watched(tmp_path, train)
    assert [segment["reason"] for segment in done.segments] == ["start", "resume"]
    assert [done.scalars("epoch", segment).tolist() for segment in (0, 1)] == [[1, 1, 1, 2, 2, 2]] * 2
