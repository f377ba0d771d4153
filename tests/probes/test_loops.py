"""The many ways people write a training loop: each is a number of steps with the right losses."""

from __future__ import annotations

import numpy as np
import pytest

from .harness import runs

SCRIPT = """
    import json, sys, warnings
    import torch, torch.nn as nn, torch.nn.functional as F
    from torch.utils.data import DataLoader, TensorDataset
    torch.manual_seed(0)
    x, y, t = torch.randn(48, 5), torch.randint(0, 3, (48,)), torch.randn(48, 1)
    net = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))
    losses = []

    def regression():
        model = nn.Linear(5, 1)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for i in range(12):
            optimizer.zero_grad()
            loss = nn.MSELoss()(model(x), t)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            with torch.no_grad():
                F.mse_loss(model(x[:20] + 1), t[:20].clone())

    def binary():
        model = nn.Linear(5, 1)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for i in range(12):
            optimizer.zero_grad()
            loss = F.binary_cross_entropy_with_logits(model(x), (t > 0).float())
            (loss + 0.01 * model.weight.square().sum()).backward()
            optimizer.step()
            losses.append(loss.item())

    def accumulation():
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for epoch in range(5):
            micro = []
            for i, (a, b) in enumerate(DataLoader(TensorDataset(x, y), batch_size=4)):
                loss = F.cross_entropy(net(a), b)
                (loss / 4).backward()
                micro.append(loss.item())
                if (i + 1) % 4 == 0:
                    optimizer.step()
                    optimizer.zero_grad()
                    losses.append(sum(micro) / 4)
                    micro = []

    def written():
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for i in range(12):
            loss = -net(x).log_softmax(1)[torch.arange(48), y].mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())

    def manual():
        w = torch.zeros(5, 3, requires_grad=True)
        for i in range(12):
            loss = F.cross_entropy(x @ w, y)
            loss.backward()
            with torch.no_grad():
                w -= 0.1 * w.grad
            w.grad = None
            losses.append(loss.item())

    def lbfgs():
        optimizer = torch.optim.LBFGS(net.parameters(), max_iter=4)
        for i in range(6):
            first = []
            def closure():
                optimizer.zero_grad()
                loss = F.cross_entropy(net(x), y)
                loss.backward()
                first.append(loss.item())
                return loss
            optimizer.step(closure)
            losses.append(first[0])

    def split():
        one, two = torch.optim.SGD(net[0].parameters(), lr=0.1), torch.optim.Adam(net[2].parameters(), lr=0.01)
        for i in range(12):
            loss = F.cross_entropy(net(x), y)
            one.zero_grad()
            two.zero_grad()
            loss.backward()
            one.step()
            two.step()
            losses.append(loss.item())

    def gan():
        maker, judge = nn.Linear(2, 5), nn.Linear(5, 1)
        one, two = torch.optim.SGD(judge.parameters(), lr=0.1), torch.optim.SGD(maker.parameters(), lr=0.1)
        ones = torch.ones(48, 1)
        for i in range(6):
            one.zero_grad()
            loss = F.binary_cross_entropy_with_logits(judge(x), ones)
            loss = loss + F.binary_cross_entropy_with_logits(judge(maker(torch.randn(48, 2)).detach()), ones * 0)
            loss.backward()
            one.step()
            losses.append(loss.item())
            two.zero_grad()
            loss = F.binary_cross_entropy_with_logits(judge(maker(torch.randn(48, 2))), ones)
            loss.backward()
            two.step()
            losses.append(loss.item())

    def scaled():
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for i in range(12):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = F.cross_entropy(net(x).float(), y)
            scaler.scale(loss).backward()
            if i == 5:
                net[0].weight.grad[0, 0] = float("inf")
            scaler.step(optimizer)
            scaler.update()
            if i != 5:
                losses.append(loss.item())

    def evaluation_with_gradients():
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        other = DataLoader(TensorDataset(x[:20], y[:20]), batch_size=10)
        for epoch in range(4):
            net.train()
            for a, b in DataLoader(TensorDataset(x, y), batch_size=16):
                optimizer.zero_grad()
                loss = F.cross_entropy(net(a), b)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            net.eval()
            for a, b in other:
                F.cross_entropy(net(a), b)

    def folds():
        for fold in range(2):
            model = nn.Linear(5, 3)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for step in range(11):
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())

    def functional():
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Linear(5, 8), nn.Linear(8, 3)
            def forward(self, x):
                h = F.relu(self.a(x))
                return self.b(torch.tanh(h).relu())
        model = Net()
        with torch.no_grad():
            model.a.bias[:2] = -1000.0
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for i in range(14):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())

    def compiled():
        graphs = []
        def backend(graph, example):
            graphs.append(graph)
            return graph.forward
        model = torch.compile(net, backend=backend, fullgraph=True)
        score = torch.compile(lambda a, b: F.cross_entropy(a, b), backend=backend, fullgraph=True)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for i in range(12):
            optimizer.zero_grad()
            loss = score(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert len(graphs) == 2, len(graphs)

    globals()[sys.argv[1]]()
    print(json.dumps(losses))
"""
LOOPS = [
    "regression",
    "binary",
    "accumulation",
    "written",
    "manual",
    "lbfgs",
    "split",
    "gan",
    "scaled",
    "evaluation_with_gradients",
    "folds",
    "functional",
    "compiled",
]


@pytest.fixture(scope="module")
def recorded():
    """What each loop left."""
    return dict(zip(LOOPS, runs(SCRIPT, *((loop,) for loop in LOOPS)), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("loop", LOOPS)
def test_losses_and_steps(recorded, loop):
    done = recorded[loop]
    assert done.returncode == 0, done.stderr
    assert not [event for event in done.events if event["name"] == "probe.failed"], done.events
    losses = done.printed()
    facts = done.facts()
    if loop == "folds":
        assert [segment["segment"] for segment in done.segments] == [0, 1]
        for fold in (0, 1):
            assert done.steps("loss.train", fold) == list(range(1, 12))
            np.testing.assert_allclose(done.scalars("loss.train", fold), losses[fold * 11 : fold * 11 + 11], rtol=1e-5)
        assert facts["planned_steps"] == 11
        return
    assert done.steps("loss.train") == list(range(1, len(losses) + 1))
    np.testing.assert_allclose(done.scalars("loss.train"), losses, rtol=1e-5)
    match loop:
        case "regression":
            assert done.values("target.mean")[0, 0] == pytest.approx(0, abs=0.5)
            assert done.steps("loss.val") == list(range(1, 13))
            assert done.values("loss.val.each").shape == (12, 20)
            assert facts["planned_steps"] == 12
            assert "accuracy.train" not in done.series
        case "binary":
            assert (done.scalars("loss.root") > done.scalars("loss.train")).all()
            assert (done.scalars("accuracy.train") > 0).all()
        case "accumulation":
            assert set(done.scalars("batch.size")) == {16}
            np.testing.assert_allclose(done.scalars("loss.root"), np.array(losses) / 4, rtol=1e-5)
            assert (facts["accumulation"], facts["planned_steps"], facts["steps_per_epoch"]) == (4, 15, 3)
        case "split":
            assert (done.values("lr") == np.array([0.1, 0.01], np.float32)).all()
            assert not np.isnan(done.values("update.ratio")[1:]).any()
        case "gan":
            assert len(facts["optimizers"]) == 2
            assert facts["planned_steps"] == 12
            ratio = done.values("update.ratio")
            assert (np.isnan(ratio).sum(1) == 2).all()  # each step moves one of the two models
            assert any(name.startswith("Linear2.") for name in done.names["update.ratio"])
        case "scaled":
            np.testing.assert_allclose(done.scalars("step.skipped"), [0] * 5 + [1] + [0] * 5)
            assert done.scalars("loss.root")[0] == pytest.approx(1024 * losses[0], rel=1e-4)
            assert facts["amp"]
            assert not [event for event in done.events if event["name"] == "nonfinite"]
        case "evaluation_with_gradients":
            assert done.steps("loss.val") == [3, 3, 6, 6, 9, 9, 12, 12]
        case "lbfgs":
            assert (done.scalars("grad.norm") > 0).all()
        case "functional":
            assert done.names["act.dead"] == ["relu() 1", "tanh() 2", "relu() 3"]
            assert done.values("act.dead")[-1, 0] == pytest.approx(0.25)
        case "compiled":
            assert facts["compiled"]
            assert "act.mean" not in done.series
            assert "update.ratio" in done.series
