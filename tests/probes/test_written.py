"""Losses written by hand: what they compare is found out, as if a function of torch had been called."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.module import _global_forward_pre_hooks
from torch.utils.data import DataLoader, TensorDataset

from .harness import watched

ROWS, CLASSES = 32, 4


def squared(out, y):
    return ((out - y) ** 2).mean()


def turned(out, y):
    return (y - out).square().sum()


def sizes(out, y):
    return torch.abs(out - y).mean()


def indexed(out, labels):
    return -out.log_softmax(1)[range(len(labels)), labels].mean()


def arranged(out, labels):
    return -F.log_softmax(out, 1)[torch.arange(len(labels)), labels].mean()


def gathered(out, labels):
    return -out.softmax(1).gather(1, labels[:, None]).log().mean()


def by_logsumexp(out, labels):
    return (out.logsumexp(1) - out.gather(1, labels[:, None]).squeeze(1)).mean()


def by_pairs(out, labels):
    alike = out @ F.one_hot(labels, CLASSES).float().T + torch.eye(len(out))
    return -alike.log_softmax(1).diag().mean()


def by_counts(out, y):
    return (out.exp() - y * out).mean()


def by_one_hot(out, labels):
    return -(F.one_hot(labels, CLASSES).float() * torch.log_softmax(out, 1)).sum(1).mean()


def by_shares(out, y):
    p = torch.sigmoid(out)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def by_softplus(out, y):
    return (F.softplus(out) - out * y).mean()


def by_margins(out, y):
    return F.softplus(-y * out).mean()


def by_hinge(out, y):
    return (1 - y * out).clamp(min=0).mean()


NUMBERS = torch.randn(ROWS, 1, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(ROWS) % CLASSES
YES = (torch.arange(ROWS) % 3 == 0).float()[:, None]
FORMS = [
    (squared, NUMBERS, "mse_loss", "mean"), (turned, NUMBERS, "mse_loss", "sum"), (sizes, NUMBERS, "l1_loss", "mean"),
    (indexed, LABELS, "nll_loss", "mean"), (arranged, LABELS, "nll_loss", "mean"),
    (gathered, LABELS, "nll_loss", "mean"), (by_logsumexp, LABELS, "cross_entropy", "mean"),
    (by_pairs, LABELS, "nll_loss", "mean"), (by_counts, 3 * YES, "poisson_nll_loss", "mean"),
    (by_one_hot, LABELS, "cross_entropy", "mean"),
    (by_shares, YES, "binary_cross_entropy", "mean"),
    (by_softplus, YES, "binary_cross_entropy_with_logits", "mean"),
    (by_margins, 2 * YES - 1, "soft_margin_loss", "mean"), (by_hinge, 2 * YES - 1, "hinge", "mean"),
]  # fmt: skip


def fit(loss, y, steps=24, validate=None):
    """Returns what the last step compared."""
    torch.manual_seed(0)
    x = torch.randn(ROWS, 3)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, CLASSES if y.dim() == 1 else 1))
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        losses.append(value.item())
        if validate is not None:
            model.eval()
            with torch.no_grad():
                validate(model, x, y)
            model.train()
    return losses


@pytest.mark.parametrize(("loss", "y", "name", "reduction"), FORMS, ids=[form[0].__name__ for form in FORMS])
def test_a_loss_written_by_hand_is_the_function_that_gives_its_number(tmp_path, loss, y, name, reduction):
    done = watched(tmp_path, lambda: fit(loss, y))
    known = done.facts()["loss"]
    assert (known["name"], known["reduction"]) == (name, reduction)
    assert "test_written.py:" in known["where"]
    each = done.values("loss.train.each")
    total = each.sum(1) if reduction == "sum" else each.mean(1)
    losses = dict(zip(done.steps("loss.train"), done.scalars("loss.train"), strict=True))
    np.testing.assert_allclose(total, [losses[step] for step in done.steps("loss.train.each")], rtol=1e-4)
    assert (done.scalars("target.pairs") > 8).all()


@pytest.mark.parametrize(("loss", "y", "name", "reduction"), FORMS, ids=[form[0].__name__ for form in FORMS])
def test_the_same_is_found_in_validation(tmp_path, loss, y, name, reduction):
    seen = []

    def validate(model, x, y):
        seen.append(loss(model(x[:24]), y[:24]).item())

    done = watched(tmp_path, lambda: fit(loss, y, 12, validate))
    found = done.scalars("loss.val")
    assert len(found) >= 6  # not before the loss of training is known
    np.testing.assert_allclose(found, seen[-len(found) :], rtol=1e-4)
    assert (done.scalars("val.size") == 24).all()
    assert len(done.values("input.val.rows"))


def test_parts_of_a_sum_are_compared_but_are_not_the_loss(tmp_path):
    def loss(out, y):
        return (2 * (out - y).pow(2)).mean() + 0.1 * out.abs().mean()

    done = watched(tmp_path, lambda: fit(loss, NUMBERS))
    assert "loss" not in done.facts()
    assert "loss.train.each" not in done.series
    assert (done.scalars("target.pairs") > 8).all()
    np.testing.assert_allclose(done.scalars("target.mean"), NUMBERS.mean(), rtol=1e-5)
    assert len(done.scalars("r2.train"))


@pytest.mark.parametrize("loss", [
    lambda out, y: (out * torch.linspace(-1, 1, ROWS)[:, None]).mean().exp(),  # weighed, not compared
    lambda out, y: (out - 1).square().mean(),
    lambda out, y: (out - out.mean()).square().mean() + out.square().mean(),
    lambda out, y: ((out - y).detach() * out).mean(),
    lambda out, y: ((out.detach() - y) ** 2).mean() + out.square().mean(),
])  # fmt: skip
def test_what_is_no_comparison_is_absent(tmp_path, loss):
    done = watched(tmp_path, lambda: fit(loss, NUMBERS))
    assert "loss" not in done.facts()
    assert not {"target.match", "target.mean", "r2.train", "loss.val"} & set(done.series)


def test_a_mode_of_the_users_stays_where_he_put_it(tmp_path):
    class Counts(torch.overrides.TorchFunctionMode):
        calls = 0

        def __torch_function__(self, function, types, args=(), kwargs=None):
            Counts.calls += 1
            return function(*args, **(kwargs or {}))

    def around(out, y):
        with Counts():
            return squared(out, y)

    def run():
        fit(around, NUMBERS, 12)
        assert torch._C._len_torch_function_stack() == 0
        entered = Counts()
        mode = entered.__enter__()
        fit(squared, NUMBERS, 12)
        assert torch._C._get_function_stack_at(0) is mode
        mode.__exit__(None, None, None)

    done = watched(tmp_path, run)
    assert Counts.calls > 0
    assert done.facts(0)["loss"]["name"] == "mse_loss"
    assert "loss" not in done.facts(1)  # under a mode of his own nothing is put


def test_no_mode_and_no_hook_outlives_a_pass_over_validation_data(tmp_path):
    entered, left = [], []

    def train():
        torch.manual_seed(0)
        model = nn.Linear(5, 1)
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        loader = DataLoader(TensorDataset(torch.randn(64, 5), torch.randn(64, 1)), batch_size=16)
        for _ in range(4):
            for x, y in loader:
                optimizer.zero_grad()
                squared(model.train()(x), y).backward()
                optimizer.step()
            with torch.no_grad():
                for x, y in loader:
                    squared(model.eval()(x), y)
                    entered.append(torch._C._len_torch_function_stack())
            left.append((torch._C._len_torch_function_stack(), len(_global_forward_pre_hooks)))

    watched(tmp_path, train)
    assert any(entered), "or there was nothing to take away"
    assert left == [(0, 0)] * 4
