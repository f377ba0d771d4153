"""The names of the parameters that are trained, and of those that are not."""

import torch
from torch import nn

from nnwatch.probes.model import Model
from nnwatch.probes.structure import facts


def test_frozen_and_unoptimized_parameters_are_listed():
    """A frozen parameter may well be in an optimizer: adapters are often trained with ``model.parameters()``."""
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4), nn.Linear(4, 1))
    net[0].requires_grad_(False)
    optimizer = torch.optim.SGD([*net[0].parameters(), *net[1].parameters()], lr=0.1)
    model = Model(net.modules(), [optimizer])
    assert model.frozen == ["0.weight", "0.bias"]
    assert model.unoptimized == ["2.weight", "2.bias"]
    assert model.names == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_what_two_models_share_is_optimized_once():
    """An encoder and a decoder over one embedding, with an optimizer each."""
    shared = nn.Embedding(5, 4)
    models = [nn.Sequential(shared, nn.Linear(4, 3)), nn.Sequential(shared, nn.Linear(4, 2))]
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in models]
    model = Model([module for each in models for module in each.modules()], optimizers)
    assert model.names[0] == "Sequential1.0.weight"
    assert len(model.names) == 5
    assert model.unoptimized == []


class Pinned(nn.Module):
    """Gives its one parameter itself, as older code does, and takes no arguments for it."""

    def __init__(self):
        super().__init__()
        self.radius = nn.Parameter(torch.rand(3))

    def parameters(self):  # type: ignore[override]
        return [self.radius]


def test_a_module_with_a_parameters_method_of_its_own_is_described():
    net = nn.Sequential(nn.Linear(4, 3), Pinned())
    model = Model(net.modules(), [torch.optim.SGD(net.parameters(), lr=0.1)])
    rows = facts(model, {}, {})["modules"]
    assert [(name, kind, own) for name, kind, own, *_ in rows] == [
        ("", "Sequential", 0),
        ("0", "Linear", 15),
        ("1", "Pinned", 3),
    ]
