"""Attention and BatchNorm layers, against what torch says of the same pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnwatch.probes import attention, batchnorm

from .harness import watched

THOROUGH = [1, 6]


def train(make, x, before=lambda model: None, steps=8):
    torch.manual_seed(0)
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    for _ in range(steps):
        before(model)
        optimizer.zero_grad()
        output = model(x)
        F.mse_loss(output, torch.zeros_like(output)).backward()
        optimizer.step()


class Attending(nn.Module):
    """Two attention layers, one of torch's, one of one's own."""

    def __init__(self, batch_first, separate):
        super().__init__()
        self.width = 5 if separate else 8
        self.first = nn.MultiheadAttention(8, 2, batch_first=batch_first, kdim=self.width, vdim=self.width)
        self.second = Own()

    def forward(self, x):
        return self.second(self.attend(x))

    def attend(self, x):
        other = x[..., : self.width]
        return self.first(x, other, other, need_weights=False)[0]


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.project = nn.Linear(8, 24)

    def forward(self, x):
        q, k, v = (part.unflatten(-1, (2, 4)).transpose(1, 2) for part in self.project(x).chunk(3, -1))
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("separate", [False, True])
def test_the_bound_of_attention_logits(tmp_path, batch_first, separate):
    x = 3 * torch.randn(5, 4, 8, generator=torch.Generator().manual_seed(0))
    bounds = []

    def before(model):
        with torch.no_grad():
            mha, own = model.first, model.second
            wq, wk = (mha.q_proj_weight, mha.k_proj_weight) if separate else mha.in_proj_weight.chunk(3)[:2]
            bq, bk, _ = mha.in_proj_bias.chunk(3)
            q, k = x @ wq.T + bq, x[..., : model.width] @ wk.T + bk
            one = math.prod(part.unflatten(-1, (2, 4)).norm(dim=-1).max().item() for part in (q, k)) / 2
            inner = model.attend(x)
            q, k, _ = (part.unflatten(-1, (2, 4)).transpose(1, 2) for part in own.project(inner).chunk(3, -1))
            two = q.norm(dim=-1).max() * k.norm(dim=-1).max() / 2
            real = (q @ k.transpose(2, 3)).abs().max() / 2
            assert real <= two * 1.0001
            bounds.append([one, two.item()])

    done = watched(tmp_path, lambda: train(lambda: Attending(batch_first, separate), x, before))
    assert done.steps("attention.logit") == THOROUGH
    assert done.names["attention.logit"] == done.facts()["attention"] == ["first", "second"]
    np.testing.assert_allclose(done.values("attention.logit"), [bounds[n - 1] for n in THOROUGH], rtol=1e-5)


def test_some_rows_stand_for_many():
    tensor = torch.randn(7, 3, 50, 4)
    rows = attention._rows(tensor.transpose(1, 2), 128)
    assert rows.shape[1] == 4
    assert 60 < len(rows) <= 130
    assert set(map(tuple, rows.tolist())) <= set(map(tuple, tensor.reshape(-1, 4).tolist()))


@pytest.mark.parametrize("shape", [(32, 6), (8, 6, 9), (8, 6, 5, 7)])
def test_running_against_batch_statistics(tmp_path, shape):
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(0)) * 3 + 2
    kind = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d)[len(shape) - 2]
    found = []

    def before(model):
        norm, axes = model[0], [axis for axis in range(x.dim()) if axis != 1]
        var, mean = torch.var_mean(x, axes)
        shift = (norm.running_mean - mean).abs() / var.sqrt()
        found.append([np.median((norm.running_var / var).numpy()), np.median(shift.numpy())])

    def make():
        return nn.Sequential(kind(6), kind(6, track_running_stats=False))

    done = watched(tmp_path, lambda: train(make, x, before))
    assert done.names["bn.variance.ratio"] == ["0"]
    assert done.steps("bn.mean.shift") == THOROUGH
    wanted = np.array([found[n - 1] for n in THOROUGH])
    np.testing.assert_allclose(done.scalars("bn.variance.ratio"), wanted[:, 0], rtol=1e-5)
    np.testing.assert_allclose(done.scalars("bn.mean.shift"), wanted[:, 1], rtol=1e-5)


def test_a_dark_border_does_not_stand_for_the_picture():
    dark = torch.zeros(50, 2, 28, 28)
    dark[:, :, 4:-4, 4:-4] = torch.randn(50, 2, 20, 20, generator=torch.Generator().manual_seed(0))
    for layout in (torch.contiguous_format, torch.channels_last):
        rows = batchnorm._by_channel(dark.contiguous(memory_format=layout))
        assert rows.shape == (2, 300)
        np.testing.assert_allclose(rows.var(1), dark.var((0, 2, 3)), rtol=0.2)


def test_a_batch_that_does_not_vary_has_no_ratio(tmp_path):
    done = watched(tmp_path, lambda: train(lambda: nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1)), torch.ones(8, 3)))
    assert "bn.variance.ratio" not in done.series


def test_batch_norm_of_what_is_not_finite(tmp_path):
    x = torch.full((8, 3), math.nan)
    done = watched(tmp_path, lambda: train(lambda: nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1)), x, steps=3))
    assert "bn.mean.shift" not in done.series


def test_a_model_called_before_training_is_left_alone(tmp_path):
    """A learner that acts before it learns: its first pass is seen, the others cost a look."""
    counts = []

    def run():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for _ in range(20):
            model(torch.randn(1, 4))
            counts.append(len(model[1]._forward_hooks))
        for _ in range(3):
            F.cross_entropy(model(torch.randn(8, 4)), torch.zeros(8, dtype=torch.long)).backward()
            optimizer.step()

    done = watched(tmp_path, run)
    assert not any(counts)
    assert done.steps("act.mean") == [1, 2, 3]
    assert not nn.modules.module._global_forward_pre_hooks


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return F.scaled_dot_product_attention(self.q(x), self.k(x), F.relu(x))


@pytest.fixture
def ranks():
    """Two of them by their word; what one sends the other is not waited for."""
    from torch.testing._internal.distributed.fake_pg import FakeStore

    torch.distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
    yield
    torch.distributed.destroy_process_group()


def test_functions_are_seen_with_ranks_too(tmp_path, ranks):
    x = torch.randn(3, 5, 4)
    wanted = []

    def bound(model):
        q, k = (part(x).norm(dim=-1).max().item() for part in (model.q, model.k))
        wanted.append(q * k / 2)

    done = watched(tmp_path, lambda: train(Scaled, x, bound))
    assert done.names["act.std"] == ["relu() 1"]
    np.testing.assert_allclose(done.scalars("act.std"), [x.relu().std(correction=0).item()] * 8, rtol=1e-5)
    np.testing.assert_allclose(done.scalars("attention.logit"), [wanted[n - 1] for n in THOROUGH], rtol=1e-5)


def test_what_is_in_shards_is_left_alone(tmp_path, ranks):
    """A look at it would be a collective."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Shard

    mesh = init_device_mesh("cpu", (2,))

    class Sharded(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4, 4))

        def forward(self, x):
            part = DTensor.from_local(x @ self.weight, mesh, [Shard(0)])
            whole: Any = F.relu(part)
            return whole.to_local()

    done = watched(tmp_path, lambda: train(Sharded, torch.randn(6, 4)))
    assert done.steps("loss.train") == list(range(1, 9))
    assert "act.std" not in done.series
