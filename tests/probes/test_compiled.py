"""The layers of a compiled model, which are looked at on request only."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from .harness import watched

STEPS = 60


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.act, self.b = nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)

    def forward(self, x):
        return self.b(torch.tanh(self.act(self.a(x))))


class Train:
    """Trains a compiled model; leaves the graphs that were made, and of each step the spread of the activations."""

    def __init__(self):
        self.graphs, self.spread = [], []

    def _compile(self, graph, example):
        self.graphs.append(graph)
        return graph.forward

    def __call__(self):
        torch.manual_seed(0)
        net = Net()
        model = torch.compile(net, backend=self._compile, fullgraph=True)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        x, y = torch.randn(32, 5), torch.randint(0, 3, (32,))
        for _ in range(STEPS):
            inner = (x @ net.a.weight.T + net.a.bias).relu().detach()
            self.spread.append([inner.std(correction=0).item(), inner.tanh().std(correction=0).item()])
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()


@pytest.fixture
def train():
    torch._dynamo.reset()
    yield Train()
    torch._dynamo.reset()


def stance():
    return torch._dynamo.eval_frame._stance.stance


def test_on_request_a_sampled_step_runs_uncompiled(train, tmp_path):
    done = watched(tmp_path, train, compiled_layers=True)
    steps = done.steps("act.std")
    assert steps[:19] == list(range(2, 21))
    assert done.names["act.std"] == ["act", "tanh() 1"]
    np.testing.assert_allclose(done.values("act.std"), np.array(train.spread)[np.array(steps) - 1], rtol=1e-5)
    assert len(steps) < STEPS
    assert len(train.graphs) == 1  # of the steps between, and none made anew
    assert stance() == "default"
    assert not [event for event in done.events if event["name"] == "notice"]


def test_else_its_layers_are_left_alone(train, tmp_path):
    done = watched(tmp_path, train)
    assert "act.std" not in done.series
    assert "--compiled-layers" in done.event("notice")["data"]["text"]
    assert len(train.graphs) == 1


def test_the_stance_that_the_script_takes_itself_is_kept(train, tmp_path):
    with torch.compiler.set_stance("eager_on_recompile"):
        watched(tmp_path, train, compiled_layers=True)
        assert stance() == "eager_on_recompile"
