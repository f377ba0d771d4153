"""What hooks of the user's keep for the backward pass (activation checkpoints, save_on_cpu) is his to read."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from .harness import watched


def encouraged(output, target):
    chosen = output.log_softmax(1).gather(1, target[:, None]).squeeze(1)
    return -(chosen * torch.ones(len(target))).mean()


def divergent(output, target):
    return ((output**2).sum(1) + (output.exp() - output).sum(1)).mean()


def squared(output, target):
    return ((output - F.one_hot(target, 3)) ** 2).mean()


class Block(nn.Module):
    """Adds, multiplies, squares, picks: all that is looked for in a graph."""

    def __init__(self):
        super().__init__()
        self.linear, self.gain = nn.Linear(8, 8), nn.Parameter(torch.ones(8))
        self.passes = 0

    def inside(self, x):
        self.passes += 1
        return x + torch.exp(-(self.linear(x) ** 2)) * self.gain * x.softmax(1).log()[torch.arange(len(x))]

    def forward(self, x):
        return self.inside(x)


class Checkpointed(Block):
    def forward(self, x):
        return checkpoint(self.inside, x, use_reentrant=False)


def train(block, loss, around):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), block, nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(6):
        optimizer.zero_grad()
        with around:
            value = loss(model(torch.randn(16, 6)), torch.randint(0, 3, (16,)))
        value.backward()
        optimizer.step()


@pytest.mark.parametrize("loss", [F.cross_entropy, encouraged, divergent, squared])
def test_hooks_of_the_users_are_not_run(tmp_path, loss):
    read = []

    def unpack(x):
        read.append(x.shape)
        return x

    hooks = torch.autograd.graph.saved_tensors_hooks(lambda x: x, unpack)
    train(Block(), loss, hooks)
    alone = len(read)
    watched(tmp_path, lambda: train(Block(), loss, hooks))
    assert len(read) == 2 * alone > 0


def test_what_is_checkpointed_is_computed_twice_and_no_more(tmp_path):
    block = Checkpointed()
    watched(tmp_path, lambda: train(block, encouraged, torch.enable_grad()))
    assert block.passes == 2 * 6
