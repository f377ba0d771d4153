"""Differences written by hand that pair every prediction with every target, and those that do not."""

from __future__ import annotations

import pytest
import torch

from nnwatch.probes.pairing import pairs

from .harness import run

X = torch.randn(8, 1, requires_grad=True)
Y = torch.randn(8)


@pytest.mark.parametrize(
    ("loss", "given"),
    [
        (lambda: ((X - Y) ** 2).mean(), [8, 1]),
        (lambda: (Y - X).abs().sum() / 8, [8, 1]),
        (lambda: (2 * X.squeeze(1) - Y.unsqueeze(1)).square().mean() + X.square().sum(), [8]),
    ],
)
def test_a_target_along_the_other_axis(loss, given):
    assert pairs(loss().grad_fn) == {"input": given, "pairs": [8, 8]}


@pytest.mark.parametrize(
    "loss",
    [
        lambda: ((X.squeeze(1) - Y) ** 2).mean(),
        lambda: ((X - Y.unsqueeze(1)) ** 2).mean(),
        lambda: (X - X.T).relu().mean(),  # a ranking: all pairs on purpose, both with a gradient
        lambda: ((X - Y[:5]) ** 2).mean(),
        lambda: (X * torch.ones(8, 8) - torch.eye(8)).square().mean(),
        lambda: X.sum() - 1,
    ],
)
def test_none_by_accident(loss):
    assert pairs(loss().grad_fn) is None


@pytest.mark.parametrize(("squeeze", "told"), [("", {"input": [16, 1], "pairs": [16, 16]}), (".squeeze(1)", None)])
def test_in_a_training(squeeze, told):
    done = run(
        f"""
        import torch
        from torch import nn

        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(6):
            x, y = torch.randn(16, 4), torch.randn(16)
            optimizer.zero_grad()
            ((model(x){squeeze} - y) ** 2).mean().backward()
            optimizer.step()
        """
    )
    assert done.returncode == 0, done.stderr
    assert done.facts().get("loss.pairs") == told
