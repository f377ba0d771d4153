"""What is said of the training batch, against what torch says of it."""

from __future__ import annotations

import math
from zlib import crc32

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nnwatch.probes import rows

from .harness import watched
from .training import STEPS, THOROUGH, approx, train


def test_classification(tmp_path):
    torch.manual_seed(0)
    make = lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 3))  # noqa: E731
    data = [(torch.randn(80, 6), torch.randint(0, 3, (80,))) for _ in range(3)]
    seen = []
    done = watched(tmp_path, lambda: seen.extend(train(make, data, nn.CrossEntropyLoss())))
    for metric, of in {
        "output.mean": lambda o, y: o.mean(),
        "output.std": lambda o, y: o.std(correction=0),
        "output.spread": lambda o, y: o.var(0, correction=0).mean().sqrt(),
        "output.logz": lambda o, y: o.logsumexp(1).mean(),
        "confidence.target": lambda o, y: o.softmax(1)[range(80), y].mean(),
        "target.ignored": lambda o, y: torch.tensor(0.0),
    }.items():
        approx(done.scalars(metric), [of(*seen[n - 1][:2]).item() for n in done.steps(metric)])
    assert done.steps("output.logz") == list(range(1, STEPS + 1))
    assert done.steps("output.std") == THOROUGH
    right = [torch.bincount(y[o.argmax(1) == y], minlength=3).tolist() for o, y, _ in seen]
    np.testing.assert_array_equal(done.values("right.count"), right)
    assert done.steps("target.each") == THOROUGH
    np.testing.assert_array_equal(done.values("target.each"), [seen[n - 1][1][:64] for n in THOROUGH])
    orders = [crc32(seen[n - 1][1].numpy().tobytes()) & 0xFFFFFF for n in THOROUGH]
    np.testing.assert_array_equal(done.scalars("target.order"), orders)
    each = [F.cross_entropy(o, y, reduction="none")[:64].tolist() for o, y, _ in (seen[n - 1] for n in THOROUGH)]
    approx(done.values("loss.train.each"), each)
    assert set(done.scalars("mode.train")) == {1.0}
    assert "r2.train" not in done.series


def test_training_with_dropout_and_batch_norm_asleep(tmp_path):
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.linear = nn.BatchNorm1d(6), nn.Linear(6, 3)
            self.drop = nn.Dropout(0.2)

        def forward(self, x):
            return self.linear(F.dropout(self.drop(self.norm(x)), 0.1, training=True))

    def make():
        model = Net()
        model.norm.eval()
        return model

    data = [(torch.randn(20, 6), torch.randint(0, 3, (20,)))]
    val = torch.randn(9, 6), torch.randint(0, 3, (9,))

    def after(step, model):
        model.eval()
        with torch.no_grad():
            F.cross_entropy(model(val[0]), val[1])
        model.train()
        model.norm.eval()

    done = watched(tmp_path, lambda: train(make, data, F.cross_entropy, after=after))
    # a module's own call of F.dropout is that module's; the functional one is one more
    approx(done.scalars("mode.train"), [2 / 3] * STEPS)
    approx(done.scalars("mode.val"), [1 / 3] * STEPS)
    assert set(done.scalars("grad.val")) == {0.0}


def test_a_dropout_that_drops_nothing_has_no_mode(tmp_path):
    data = [(torch.randn(20, 6), torch.randint(0, 3, (20,)))]
    make = lambda: nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.0), nn.Linear(8, 3))  # noqa: E731
    done = watched(tmp_path, lambda: train(make, data, F.cross_entropy))
    assert "mode.train" not in done.series


def test_segmentation_with_ignored_pixels(tmp_path):
    torch.manual_seed(0)
    make = lambda: nn.Conv2d(3, 4, 3, padding=1)  # noqa: E731
    target = torch.randint(0, 4, (5, 9, 9))
    target[:, :3] = 255
    seen = []
    loss = nn.CrossEntropyLoss(ignore_index=255)
    done = watched(tmp_path, lambda: seen.extend(train(make, [(torch.randn(5, 3, 9, 9), target)], loss)))
    approx(done.scalars("target.ignored"), [1 / 3] * STEPS)
    spread = [seen[n - 1][0].var(0, correction=0).mean().sqrt().item() for n in THOROUGH]
    approx(done.scalars("output.spread"), spread)
    kept = target != 255
    logz = [o.movedim(1, -1)[kept].logsumexp(1).mean().item() for o, _, _ in seen]
    approx(done.scalars("output.logz"), logz)
    assert done.values("loss.train.each").shape == (2, 5)
    assert "target.each" not in done.series


def test_a_language_model_that_counts_padding(tmp_path):
    torch.manual_seed(0)

    class Lm(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.out = nn.Embedding(11, 6, padding_idx=0), nn.Linear(6, 11)

        def forward(self, x):
            return self.out(self.embed(x)).reshape(-1, 11)

    tokens = torch.randint(1, 11, (6, 8))
    tokens[:, 6:] = 0
    data = [(tokens, tokens.reshape(-1))]
    done = watched(tmp_path, lambda: train(Lm, data, F.cross_entropy))
    approx(done.scalars("target.padding"), [0.25] * 2)
    np.testing.assert_array_equal(
        done.values("input.rows")[0], rows.fingerprints(tokens[:, :6].numpy())
    )  # padding does not matter


@pytest.mark.parametrize("begins", ["with the samples", "with none"])
def test_samples_that_enter_as_bags_of_tokens(tmp_path, begins):
    torch.manual_seed(0)

    class Bags(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.out = nn.EmbeddingBag(50, 6), nn.Linear(6, 3)

        def forward(self, x):
            return self.out(self.embed(x[0], starts))

    tokens, starts = torch.randint(1, 50, (12,)), torch.tensor([0, 5, 7, 11])
    second = starts if begins == "with the samples" else torch.tensor([3, 1, 2, 0])
    done = watched(tmp_path, lambda: train(Bags, [((tokens, second), torch.tensor([0, 1, 2, 0]))], F.cross_entropy))
    bags = torch.zeros(4, 5, dtype=torch.long)
    for row, bag in zip(bags, tokens.tensor_split([5, 7, 11]), strict=True):
        row[: len(bag)] = bag
    expected = bags if begins == "with the samples" else tokens[:, None]
    np.testing.assert_array_equal(done.values("input.rows")[0], rows.fingerprints(expected.numpy()))


@pytest.mark.parametrize("shape", ["(N, T)", "(N, T, F)", "(T, N, F)", "(N, F, T)", "table"])
def test_persistence(tmp_path, shape):
    torch.manual_seed(0)
    walk = torch.randn(40, 12, 2).cumsum(1)
    x, y = walk[:, :-1], walk[:, -1]
    match shape:
        case "(N, T)":
            x, y = x[..., 0], y[:, :1]
        case "(T, N, F)":
            x = x.transpose(0, 1)
        case "(N, F, T)":
            x = x.transpose(1, 2)
        case "table":
            x, y = torch.randn(40, 11), y[:, :1]

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(x.numel() // 40, y.shape[1])

        def forward(self, x):
            return self.linear(x.transpose(0, 1).reshape(40, -1) if len(x) != 40 else x.flatten(1))

    done = watched(tmp_path, lambda: train(Net, [(x, y)], nn.HuberLoss(delta=0.5)))
    if shape == "table":
        assert "loss.persistence" not in done.series
        return
    before = walk[:, -2, : y.shape[1]]
    approx(done.scalars("loss.persistence"), [F.huber_loss(before, y, delta=0.5).item()] * 2)


def test_numbers_that_are_not_finite_are_no_error(tmp_path):
    torch.manual_seed(0)
    x = torch.full((8, 5, 1), math.nan)
    make = lambda: nn.Sequential(nn.Flatten(), nn.Linear(5, 1))  # noqa: E731
    done = watched(tmp_path, lambda: train(make, [(x, torch.full((8, 1), math.inf))], F.mse_loss))
    assert np.isnan(done.scalars("output.std")).all()
    assert "loss.persistence" not in done.series


def test_accumulation_looks_at_the_first_micro_batch(tmp_path):
    torch.manual_seed(0)
    make = lambda: nn.Linear(4, 3)  # noqa: E731
    x, y, out = torch.randn(4, 10, 4), torch.randint(0, 3, (4, 10)), []

    def loop():
        model = make()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            for a, b in zip(x, y, strict=True):
                output = model(a)
                (F.cross_entropy(output, b) / 4).backward()
                out.append(output.detach())
            optimizer.step()
            optimizer.zero_grad()

    done = watched(tmp_path, loop)
    approx(done.scalars("output.logz"), [output.logsumexp(1).mean().item() for output in out[::4]])


@pytest.mark.parametrize("gradients", [False, True])
def test_under_a_default_device_a_batch_is_counted_once(tmp_path, gradients):
    """The mode of torch functions that it is makes a loss function call itself."""
    data = [(torch.randn(20, 6), torch.randint(0, 3, (20,)))]
    val = DataLoader(TensorDataset(torch.randn(10, 6), torch.randint(0, 3, (10,))), 5)
    losses = []

    def after(step, model):
        model.eval()
        for a, b in val:
            with torch.set_grad_enabled(gradients):
                losses.append(F.cross_entropy(model(a), b).item())
        model.train()

    def run():
        with torch.device("cpu"):
            train(lambda: nn.Linear(6, 3), data, F.cross_entropy, 3, after)

    done = watched(tmp_path, run)
    assert done.steps("loss.train") == [1, 2, 3]
    told = 4 if gradients else 6  # with gradients on, the last two might still be trained on
    assert done.steps("loss.val") == [1, 1, 2, 2, 3, 3][:told]
    approx(done.scalars("loss.val"), losses[:told])


def test_a_part_of_the_model_may_be_called_by_itself(tmp_path):
    """Nothing is left on from a pass whose end is not seen."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 3)

    def run():
        net = Net()
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        x, y = torch.randn(20, 6), torch.randint(0, 3, (20,))
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(net.b(net.a(x).relu()), y).backward()
            optimizer.step()
            assert torch.overrides._get_current_function_mode() is None

    done = watched(tmp_path, run)
    assert done.steps("loss.train") == [1, 2, 3]
    assert "act.std" not in done.series  # the outermost module is never called
