"""What torch computes in one kernel while it is evaluated stays so under the watch: the same bits."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from .harness import watched


def encoder(**options):
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, **options)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


class Frozen(nn.Module):
    """A head on an encoder that was learned before."""

    def __init__(self, **options):
        super().__init__()
        self.body, self.head = encoder(**options).requires_grad_(False), nn.Linear(16, 16)

    def train(self, mode=True):
        super().train(mode)
        self.body.eval()
        return self

    def forward(self, x):
        return self.head(torch.relu(self.body(x)))


class Careless(nn.Module):
    """Drops out by a function, also in evaluation."""

    def __init__(self):
        super().__init__()
        self.body, self.head = encoder(), nn.Linear(16, 16)

    def forward(self, x):
        return self.head(F.dropout(self.body(x), 0.1))


def small():
    return nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 16))


def losses(make, criterion):
    """Of some steps with a teacher, which is asked between the model and the loss, and of a validation."""
    torch.manual_seed(0)
    model, teacher, rows, found = make(), encoder().eval(), torch.randn(64, 6, 16), []
    optimizer = torch.optim.SGD((p for p in model.parameters() if p.requires_grad), 0.1)
    for _ in range(3):
        model.train()
        for x in rows.split(16):
            output = model(x)
            with torch.no_grad():
                wanted = teacher(x)
            loss = criterion(output, wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        model.eval()
        with torch.no_grad():
            found += [criterion(model(x), teacher(x)).item() for x in rows.split(16)]
    return found


def by_hand(output, wanted):
    return ((output - wanted) ** 2).mean()


@pytest.mark.parametrize("make", [small, Frozen, lambda: Frozen(activation=nn.ReLU()), Careless])
@pytest.mark.parametrize("criterion", [F.mse_loss, by_hand])
def test_the_same_bits(tmp_path, make, criterion):
    alone, seen = losses(make, criterion), []
    watched(tmp_path, lambda: seen.append(losses(make, criterion)))
    assert seen == [alone]
