"""Six ways to a NaN, each blamed on what it was. One process trains them all, one after the other."""

from __future__ import annotations

from typing import Any

import pytest

from .harness import Recorded, run

SCRIPT = """
    import gc, sys
    import torch, torch.nn as nn, torch.nn.functional as F
    from torch.utils.data import DataLoader, TensorDataset

    class Normalise(nn.Module):
        def forward(self, x):
            return x / x.abs().max(1, keepdim=True).values

    class Net(nn.Module):
        def __init__(self, middle=None, out=3):
            super().__init__()
            self.fc1, self.act, self.fc2 = nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, out)
            self.middle = middle or nn.Identity()
        def forward(self, x):
            return self.fc2(self.act(self.fc1(self.middle(x))))

    class Distance(nn.Module):
        def forward(self, h, x):
            return torch.sqrt(h.square().sum(1, keepdim=True) * x[:, :1].abs())

    class WithDistance(Net):
        def __init__(self):
            super().__init__()
            self.distance, self.fc2 = Distance(), nn.Linear(9, 3)
        def forward(self, x):
            h = self.act(self.fc1(x))
            return self.fc2(torch.cat([h, self.distance(h, x)], 1))

    def fit(net, x, y, loss, lr=0.01, clip=False):
        optimizer = torch.optim.SGD(net.parameters(), lr=lr)
        for a, b in DataLoader(TensorDataset(x, y), batch_size=8):
            optimizer.zero_grad()
            loss(net(a), b).backward()
            if clip:
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()

    def case(which):
        torch.manual_seed(1)
        n = 8 * 40 if "late" in which else 8 * 12
        bad = 8 * 30 + 3 if "late" in which else 8 * 6 + 3
        x, y = torch.randn(n, 6), torch.randint(0, 3, (n,))
        if which.startswith("input"):
            x[bad, 4] = float("nan")
            fit(Net(), x, y, F.cross_entropy)
        elif which == "target":
            z = torch.randn(n, 1)
            z[bad] = float("inf")
            fit(Net(out=1), x, z, F.mse_loss)
        elif which == "ignored":
            y[bad - 3 : bad + 5] = -100
            fit(Net(), x, y, F.cross_entropy)
        elif which == "log":
            calls = []
            def loss(out, b):
                calls.append(1)
                p = out.softmax(1)[torch.arange(len(b)), b]
                return -torch.log(p * 0 if len(calls) == 7 else p).mean()
            fit(Net(), x, y, loss)
        elif which == "log term":
            fit(Net(), x * 300, y, lambda out, b: F.nll_loss(torch.log(out.softmax(1)), b), lr=1e-6)
        elif which.startswith("sqrt outside"):
            def loss(out, b):
                return (out - out.detach()).square().sum(1).sqrt().mean() + F.cross_entropy(out, b)
            fit(Net(), x, y, loss, clip="clip" in which)
        elif which.startswith("sqrt inside"):
            x[bad, 0] = 0
            fit(WithDistance(), x, y, F.cross_entropy)
        elif which.startswith("zero"):
            x[bad] = 0
            fit(Net(Normalise()), x, y, F.cross_entropy)
        elif which == "lr":
            fit(Net(out=1), x * 50, torch.randn(n, 1), F.mse_loss, lr=1.0)
        elif which == "healthy":
            fit(Net(), x, y, F.cross_entropy)
    for which in sys.argv[1:]:
        case(which)
        gc.collect()
"""
"""``fit`` sees a bad sample in step 7 of 12, or in step 31 of 40 where not every step is looked at closely."""


def _line(text: str) -> str:
    return f"train.py:{next(number for number, line in enumerate(SCRIPT.splitlines(), 1) if text in line)}"


CASES: dict[str, dict[str, Any]] = {
    "input": {"origin": "input", "step": 7, "last_finite_step": 6, "bad_samples": [3]},
    "input late": {"origin": "input", "step": 31, "bad_samples": [3]},
    "target": {"origin": "target", "step": 7, "op": "mse_loss", "bad_samples": [3]},
    "ignored": {"origin": "target", "step": 7},
    "log": {"origin": "loss", "step": 7, "op": "log"},
    "log term": {"origin": "backward", "step": 1, "op": "log", "layer": "fc2"},
    "sqrt outside": {"origin": "backward", "step": 1, "op": "sqrt", "layer": "fc2"},
    "sqrt outside clip": {"origin": "backward", "step": 1, "op": "sqrt", "layer": "fc2"},
    "sqrt inside": {"origin": "backward", "step": 7, "op": "sqrt", "layer": "distance", "where": _line("torch.sqrt(h")},
    "sqrt inside late": {"origin": "backward", "step": 31},
    "zero": {"origin": "forward", "step": 7, "layer": "middle", "op": "div", "where": _line("return x /")},
    "zero late": {"origin": "forward", "step": 31},
    "lr": {"origin": "loss", "op": "mse_loss"},
    "healthy": {},
}


@pytest.fixture(scope="module")
def done() -> Recorded:
    """Each case is a segment: another model, trained when the one before is gone."""
    found = run(SCRIPT, args=tuple(CASES))
    assert found.returncode == 0, found.stderr
    assert not [event for event in found.events if event["name"] == "probe.failed"], found.events
    assert len(found.segments) == len(CASES)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("which", CASES)
def test_origin(done, which):
    number = list(CASES).index(which)
    found = [event for event in done.events if event["name"] == "nonfinite" and event["segment"] == number]
    assert len(found) == (which != "healthy")
    report = {"step": found[0]["step"], **found[0]["data"]} if found else {}
    assert {key: report.get(key) for key in CASES[which]} == CASES[which], report


SKIPPING = """
    import hashlib, json, random
    import numpy as np
    import torch, torch.nn as nn, torch.nn.functional as F

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, self.norm, self.fc2 = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)
            self.drop = nn.Dropout(0.3)
            self.passes = 0
        def forward(self, x):
            self.passes += 1
            h = self.drop(torch.relu(self.norm(self.fc1(x)))) * (1 + 0.01 * np.random.rand() + 0.01 * random.random())
            return self.fc2(h * x.abs().sum(1, keepdim=True) / x.abs().sum(1, keepdim=True))

    torch.manual_seed(1); np.random.seed(1); random.seed(1)
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    x, y = torch.randn(640, 6), torch.randint(0, 3, (640,))
    x[[60, 500]] = 0                                   # 0 / 0, at a step that is sampled and at one that is not
    losses = []
    for start in range(0, 640, 8):
        kept = {key: value.clone() for key, value in net.state_dict().items()}
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x[start : start + 8]), y[start : start + 8])
        losses.append(str(loss.item()))
        if not torch.isfinite(loss):
            net.load_state_dict(kept)
            continue
        loss.backward()
        optimizer.step()
    digest = hashlib.sha256(b"".join(value.numpy().tobytes() for value in net.state_dict().values()))
    draws = [torch.rand(()).item(), np.random.rand(), random.random()]
    print(json.dumps([losses, digest.hexdigest(), net.passes, draws]))
"""


def test_a_training_that_leaves_out_bad_batches_is_the_same_bit_for_bit():
    watched, bare = run(SKIPPING), run(SKIPPING, watched=False)
    assert watched.returncode == 0, watched.stderr
    assert watched.printed() == bare.printed()
    assert watched.printed()[0].count("nan") == 2
    told = [event["data"] for event in watched.events if event["name"] == "nonfinite"]
    assert [(data["origin"], data["op"], data.get("bad_samples")) for data in told] == [("forward", "div", [4])] * 2
    assert sum(event["name"] == "autopsy" for event in watched.events) == 2


@pytest.mark.parametrize("spoiled", ["state", "weights"])
def test_what_a_distribution_refuses_came_in_with_the_data(spoiled):
    """It raises before there is a loss, of so many rows that its message shows none that is bad."""
    done = run(f"""
        import torch
        model = torch.nn.Linear(3, 4)
        optimizer = torch.optim.Adam(model.parameters())
        for step in range(4):
            state = torch.randn(2000, 3)
            if step == 3:
                with torch.no_grad():
                    (state if {spoiled!r} == "state" else model.weight)[1, 2] = float("nan")
            policy = torch.distributions.Categorical(logits=model(state))
            optimizer.zero_grad()
            policy.log_prob(policy.sample()).mean().backward()
            optimizer.step()
    """)
    assert done.returncode == 1
    assert done.event("exception")["data"]["type"] == "ValueError"
    found = [event for event in done.events if event["name"] == "nonfinite"]
    if spoiled == "weights":
        assert not found
    else:
        (event,) = found
        assert event["step"] == 4
        assert event["data"]["origin"] == "input"
        assert event["data"]["bad_samples"] == [1]
        assert event["data"]["detail"] == "1 NaN of 6000 state values, column 2; line 10"
