"""The experiments on steps captured in this very process."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnwatch.probes.trials.adam import Adam
from nnwatch.probes.trials.captured import Batch, own
from nnwatch.probes.trials.custom import error
from nnwatch.probes.trials.floor import floor
from nnwatch.probes.trials.gradient import gradient
from nnwatch.probes.trials.inputs import inputs
from nnwatch.probes.trials.overfit import overfit
from nnwatch.probes.trials.still import Still
from nnwatch.probes.trials.subject import NotPossibleError

from .subject import subject

# overfit and input


class Deaf(nn.Module):
    """Does not use what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(torch.zeros_like(x))


def test_a_model_that_ignores_its_input_cannot_tell_inputs_apart():
    torch.manual_seed(0)
    x, y = torch.randn(40, 4), torch.randint(0, 3, (40,))
    tried = subject(Deaf(), F.cross_entropy, x, y)
    found = overfit(tried)
    assert found["samples"] == 16
    assert len(found["rungs"]) == 3
    shares = torch.bincount(y[:16]) / 16
    assert found["last"] == pytest.approx(float(torch.special.entr(shares).sum()), abs=0.02)
    assert found["accuracy"] < 1
    seen = inputs(tried)
    assert seen["loss"] == seen["permuted"] == seen["blank"] == seen["noise"]
    assert gradient(tried)["inputs"] == {"0": 0.0}


def test_the_weights_are_those_of_the_start_after_each_experiment():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 32), nn.BatchNorm1d(32), nn.Dropout(0.9), nn.ReLU(), nn.Linear(32, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tried = subject(model, F.cross_entropy, torch.randn(32, 4), torch.randint(0, 2, (32,)))
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    found = overfit(tried)
    assert found["accuracy"] == 1.0
    inputs(tried)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]), name
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, buffers[name]), name


def test_what_has_not_been_learned_cannot_be_asked():
    tried = subject(nn.Linear(2, 2), F.cross_entropy, torch.randn(4, 2), torch.tensor([0, 1, 0, 1]))
    with pytest.raises(NotPossibleError, match="have not been learned"):
        inputs(tried)


# floor


def batch(x, y, loss=F.cross_entropy, **options) -> Batch:
    made = own(nn.Identity(), loss, x, y).batch
    made.term = made.term._replace(kwargs=options)
    return made


def test_smoothed_labels_have_a_floor():
    x, y = torch.randn(6, 5), torch.tensor([0, 1, 2, 3, 4, 0])
    smoothed = 0.9 + 0.1 / 5
    expected = -(smoothed * math.log(smoothed) + 4 * 0.02 * math.log(0.02))
    assert floor(batch(x, y, label_smoothing=0.1), x) == pytest.approx(expected)
    assert floor(batch(x, y), x) == pytest.approx(0, abs=1e-12)


def test_equal_inputs_with_unequal_targets_have_a_floor():
    x = torch.tensor([[1.0, 2.0], [1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert floor(batch(x, torch.tensor([0, 1, 0, 1])), x) == pytest.approx(math.log(2) / 2)
    y = torch.tensor([[0.0], [2.0], [5.0], [5.0]])
    assert floor(batch(x, y, F.mse_loss), x[:, :1]) == pytest.approx(0.5)
    assert floor(batch(x, y, F.l1_loss), x[:, :1]) == pytest.approx(0.5)


def test_soft_targets_have_their_entropy_as_floor():
    x = torch.randn(3, 2)
    y = torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.25, 0.75]])
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert floor(batch(x, y), x) == pytest.approx((math.log(2) + entropy) / 3)
    shares = torch.tensor([[0.5], [0.0], [1.0]])
    loss = F.binary_cross_entropy_with_logits
    assert floor(batch(x, shares, loss), x[:, :1]) == pytest.approx(math.log(2) / 3, abs=1e-6)


def test_sequences_that_begin_alike_and_go_on_otherwise_have_a_floor():
    """The first two positions of both rows are known by the same tokens."""
    tokens = torch.tensor([[7, 3, 1, 2], [7, 3, 2, 1]])
    targets = torch.tensor([[3, 1, 2, 0], [3, 2, 1, 0]])
    made = own(nn.Embedding(8, 8), lambda p, t: p.sum(), tokens, targets).batch
    made.term = made.term._replace(name="cross_entropy", args=(None, targets.flatten()))
    assert floor(made, torch.zeros(8, 8)) == pytest.approx(2 * math.log(2) / 8)


def test_the_floor_of_another_loss_is_not_known():
    x = torch.randn(4, 2)
    assert floor(batch(x, torch.randn(4, 2), F.kl_div), x) is None
    weighted = batch(x, torch.tensor([0, 1, 0, 1]), weight=torch.ones(2))
    assert floor(weighted, x) is None


# autograd functions


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x)
        ctx.factor = factor
        return factor * x**3

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.factor * 3 * ctx.saved_tensors[0] ** 2, None


class Wrong(Cube):
    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.factor * 2 * ctx.saved_tensors[0] ** 2, None


def test_a_gradient_by_hand_is_compared_with_differences():
    x = torch.linspace(-2, 2, 20)
    right, wrong = error(Cube.apply, (x, 2.0)), error(Wrong.apply, (x, 2.0))
    assert right is not None
    assert right < 1e-6
    assert wrong == pytest.approx(1 / 3, abs=0.01)


# dropout and Adam


def test_nothing_is_dropped_where_dropout_is_off():
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Dropout(0.5)
            self.attention = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)
            self.recurrent = nn.LSTM(8, 8, 2, dropout=0.5, batch_first=True)

        def forward(self, x):
            x = F.dropout(self.module(x), 0.5)
            x = F.scaled_dot_product_attention(x, x, x, None, 0.5)
            x = F.scaled_dot_product_attention(x, x, x, dropout_p=0.5)
            x = self.attention(torch.dropout(x, 0.5, True), x, x)[0]
            return self.recurrent(F.alpha_dropout(x, 0.5, training=True))[0]

    net, x = Net(), torch.randn(2, 3, 8)
    assert not torch.equal(net(x), net(x))
    with Still(net):
        assert torch.equal(net(x), net(x))


def test_adam_steps_as_torchs_does():
    torch.manual_seed(0)
    one, other = nn.Linear(3, 2), nn.Linear(3, 2)
    other.load_state_dict(one.state_dict())
    theirs, ours = torch.optim.Adam(one.parameters(), lr=0.01), Adam([*other.parameters()], 0.01)
    for _ in range(5):
        x = torch.randn(4, 3)
        for net in (one, other):
            net.zero_grad()
            net(x).square().sum().backward()
        theirs.step()
        ours.step([parameter.grad for parameter in other.parameters()])
    for mine, its in zip(other.parameters(), one.parameters(), strict=True):
        assert torch.allclose(mine, its, atol=1e-6)
