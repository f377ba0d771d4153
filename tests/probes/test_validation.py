"""What is said of validation batches beside the training ones, against what torch says of them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nnwatch.probes import closing, sampler

from .harness import watched
from .training import STEPS, approx, train


def test_the_mode_of_an_average_that_is_evaluated_is_not_that_of_the_model(tmp_path):
    torch.manual_seed(0)
    val = torch.randn(9, 6), torch.randint(0, 3, (9,))
    data = [(torch.randn(20, 6), torch.randint(0, 3, (20,)))]
    averages = []

    def make():
        model = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 3))
        averages.append(copy.deepcopy(model).requires_grad_(False))
        return model

    def after(step, model):
        averages[-1].eval()
        with torch.no_grad():
            F.cross_entropy(averages[-1](val[0]), val[1])

    done = watched(tmp_path, lambda: train(make, data, F.cross_entropy, after=after))
    assert set(done.scalars("grad.val")) == {0.0}
    assert "mode.val" not in done.series
    approx(done.scalars("mode.train"), [1.0] * STEPS)


def test_a_model_that_has_an_optimizer_and_is_never_called_has_no_mode(tmp_path):
    """It is made ready to take weights that were saved; another one is trained and evaluated meanwhile."""

    def run():
        torch.manual_seed(0)
        make = lambda: nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 3))  # noqa: E731
        batch = lambda rows: (torch.randn(rows, 6), torch.randint(0, 3, (rows,)))  # noqa: E731
        (x, y), val, model, other = batch(20), batch(9), make(), make()
        optimizer, _kept = torch.optim.SGD(model.parameters(), 0.1), torch.optim.SGD(other.parameters(), 0.1)
        for _ in range(5):
            optimizer.zero_grad()
            F.cross_entropy(model.train()(x), y).backward()
            optimizer.step()
            with torch.no_grad():
                F.cross_entropy(model.eval()(val[0]), val[1])

    done = watched(tmp_path, run)
    assert done.facts()["model"]["class"] == "Sequential + Sequential"
    approx(done.scalars("mode.val"), [0.0] * 5)
    approx(done.scalars("mode.train"), [1.0] * 5)


def test_regression_and_validation(tmp_path):
    torch.manual_seed(0)
    make = lambda: nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))  # noqa: E731
    data = [(torch.randn(30, 4), torch.randn(30, 2) + torch.tensor([0.0, 5.0]))]
    x, y = torch.randn(70, 4) + 2, torch.randn(70, 2) * 3
    val, out = DataLoader(TensorDataset(x, y), batch_size=20), []

    def after(step, model):
        model.eval()
        for a, b in val:
            with torch.set_grad_enabled(step == 1):
                output = model(a)
                F.smooth_l1_loss(output, b)
            out.append((output.detach(), a, b))
        model.train()

    seen = []
    done = watched(tmp_path, lambda: seen.extend(train(make, data, F.mse_loss, 4, after)))

    def r2(output, target):
        return 1 - (F.mse_loss(output, target) / target.var(0, correction=0).mean()).item()

    approx(done.scalars("r2.train"), [r2(o, y) for o, y, _ in seen])
    assert done.steps("input.val.mean") == [n for n in (1, 2, 3, 4) for _ in range(4)]
    for metric, of in {
        "input.val.mean": lambda o, a, b: a.mean(),
        "input.val.std": lambda o, a, b: a.std(correction=0),
        "target.val.mean": lambda o, a, b: b.mean(),
        "target.val.std": lambda o, a, b: b.std(correction=0),
        "output.val.spread": lambda o, a, b: o.var(0, correction=0).mean().sqrt(),
    }.items():
        approx(done.scalars(metric), [of(*batch).item() for batch in out])
    approx(done.scalars("r2.val"), [r2(o, b) for o, _, b in out])
    assert done.scalars("grad.val").tolist() == [0] * 4 + [1] * 4 + [0] * 8
    order = done.scalars("input.val.order").reshape(4, 4)
    assert (order == order[0]).all()
    assert len(set(order[0])) == 4


def test_the_batches_of_an_evaluation_that_are_looked_at(tmp_path):
    """All of them cost; the first four, then one in eight, of an evaluation a fair number of steps after the last."""
    torch.manual_seed(0)
    make = lambda: nn.Linear(4, 2)  # noqa: E731
    data = [(torch.randn(8, 4), torch.randint(0, 2, (8,)))]
    val = torch.randn(13, 5, 4), torch.randint(0, 2, (13, 5))

    def after(step, model):
        with torch.no_grad():
            for a, b in zip(*val, strict=True):
                F.cross_entropy(model(a), b)

    done = watched(tmp_path, lambda: train(make, data, F.cross_entropy, 26, after))
    assert done.steps("loss.val") == [n for n in range(1, 27) for _ in range(13)]
    assert done.steps("output.val.spread") == [n for n in (1, 2, 3, 4, 20) for _ in range(5)]
    assert len(done.series["predicted.val.count"]) == 26 * 13


def test_a_model_of_short_steps_is_watched_as_soon_as_an_evaluation_is_noticed(tmp_path, monkeypatch):
    """By eval(), and by a loader that is not training's; without either the first batch has come and gone."""
    monkeypatch.setattr(sampler, "DENSE", 2)
    monkeypatch.setattr(sampler.Sampler, "_choose", lambda self: setattr(self, "every", 100))
    monkeypatch.setattr(closing, "LONG", 1e9)
    torch.manual_seed(0)
    make = lambda: nn.Linear(4, 2)  # noqa: E731
    val = torch.randn(2, 5, 4), torch.randint(0, 2, (2, 5))
    ways = ("eval", "loader", "neither")
    hooks = []

    def after(step, model):
        if step < 20 or step % 20:
            hooks.append(len(model._forward_pre_hooks))
            return
        way = ways[step // 20 - 1]
        if way == "eval":
            model.eval()
        batches = list(zip(*val, strict=True))
        with torch.no_grad():
            for a, b in DataLoader(TensorDataset(*val), batch_size=None) if way == "loader" else batches:
                F.cross_entropy(model(a), b)
        model.train()

    data = [(torch.randn(8, 4), torch.randint(0, 2, (8,)))]
    done = watched(tmp_path, lambda: train(make, data, F.cross_entropy, 70, after))
    assert done.steps("loss.val") == [21, 21, 41, 41, 61, 61]
    assert done.steps("input.val.mean") == [21, 21, 41, 41, 61, 61]
    known = ~np.isnan(done.scalars("input.val.mean"))
    assert known.tolist() == [True, True, True, True, False, True]
    assert not any(hooks[10:])


class Coder(nn.Module):
    """Some of its losses come out of its own pass, before its decoder is called."""

    def __init__(self):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(4, 3), nn.Tanh())
        self.decode = nn.Sequential(nn.Linear(3, 4), nn.Tanh())

    def forward(self, x):
        code = self.encode(x)
        small = F.mse_loss(code, torch.zeros_like(code))
        return self.decode(code), small


def test_what_a_part_of_the_model_is_given_is_no_input_of_validation(tmp_path):
    torch.manual_seed(0)
    x, val = torch.randn(8, 4), torch.randn(6, 4)

    def loss(output, y):
        return F.mse_loss(output[0], y) + output[1]

    def run():
        model = Coder()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for _ in range(12):
            optimizer.zero_grad()
            loss(model(x), x).backward()
            optimizer.step()
            model.eval()
            with torch.no_grad():
                loss(model(val), val)
            model.train()

    done = watched(tmp_path, run)
    assert done.scalars("loss.val").size == 24  # two calls in each evaluation
    orders = done.scalars("input.val.order")
    assert len(set(orders[np.isfinite(orders)])) == 1
    assert np.isfinite(orders).sum() == len(orders) / 2


def test_rows_are_the_same_in_training_and_validation(tmp_path):
    torch.manual_seed(0)
    make = lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 40 * 40, 2))  # noqa: E731
    images, labels = torch.randn(24, 3, 40, 40), torch.randint(0, 2, (24,))
    mixed = torch.cat([torch.randn(6, 3, 40, 40), images[[3, 8]]]).contiguous(memory_format=torch.channels_last)

    def after(step, model):
        model.eval()
        with torch.no_grad():
            F.cross_entropy(model(mixed), labels[:8].clone())
        model.train()

    done = watched(tmp_path, lambda: train(make, [(images, labels)], F.cross_entropy, after=after))
    trained, seen = done.values("input.rows")[0], done.values("input.val.rows")[0]
    assert len(set(trained)) == 24
    np.testing.assert_array_equal(seen[6:], trained[[3, 8]])
    assert not set(seen[:6]) & set(trained)


@pytest.mark.parametrize("shuffle", [False, True])
def test_the_order_of_the_data_in_each_epoch(tmp_path, shuffle, monkeypatch):
    monkeypatch.setattr(sampler, "DENSE", 2)
    monkeypatch.setattr(sampler.Sampler, "_choose", lambda self: setattr(self, "every", 100))
    torch.manual_seed(0)
    x, y = torch.randn(40, 4), torch.arange(40)

    def run():
        model = nn.Linear(4, 40)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for _ in range(4):
            for a, b in DataLoader(TensorDataset(x, y), batch_size=4, shuffle=shuffle):
                optimizer.zero_grad()
                F.cross_entropy(model(a), b).backward()
                optimizer.step()

    done = watched(tmp_path, run)
    assert done.steps("target.order") == [10 * epoch + n for epoch in range(4) for n in (1, 2, 3, 4)]
    orders = done.scalars("target.order").reshape(4, 4)
    assert (orders[1:] == orders[0]).all() != shuffle
    if not shuffle:
        np.testing.assert_array_equal(done.values("target.each")[:4].reshape(-1), np.arange(16))
