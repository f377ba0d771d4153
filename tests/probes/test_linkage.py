"""What the loss hangs together with, as facts: operations around it, parameters it does not reach or that are gone."""

from __future__ import annotations

from typing import Any

import pytest

from .harness import run

SCRIPT = """
    import copy, gc, sys, warnings
    import torch, torch.nn as nn, torch.nn.functional as F
    from torch.utils.checkpoint import checkpoint
    warnings.simplefilter("ignore")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.unused = nn.Linear(6, 8), nn.Linear(8, 3), nn.Linear(8, 3)
        def forward(self, x):
            return self.b(torch.relu(self.a(x)))

    class Detached(Net):
        def forward(self, x):
            return self.b(torch.relu(self.a(x)).detach())

    class Alternating(Net):
        calls = 0
        def forward(self, x):
            self.calls += 1
            return (self.unused if self.calls % 2 else self.b)(torch.relu(self.a(x)))

    class Later(Alternating):
        def forward(self, x):
            self.calls += 1
            return (self.unused if self.calls > 50 else self.b)(torch.relu(self.a(x)))

    class Checkpointed(Net):
        def __init__(self, reentrant):
            super().__init__()
            self.reentrant = reentrant
        def forward(self, x):
            return self.unused(checkpoint(self.block, x, use_reentrant=self.reentrant)) + self.b(torch.relu(self.a(x)))
        def block(self, x):
            return torch.relu(self.a(x))

    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(12, 6, padding_idx=0), nn.Linear(6, 12)
        def forward(self, x):
            return self.head(self.embed(x))

    def fit(net, x, y, loss, optimizer=None, steps=12):
        optimizer = optimizer or torch.optim.SGD(net.parameters(), lr=0.05)
        for _ in range(steps):
            optimizer.zero_grad()
            loss(net(x), y).backward()
            optimizer.step()

    def case(which):
        torch.manual_seed(0)
        x, y = torch.randn(32, 6), torch.randint(0, 3, (32,))
        ce = F.cross_entropy
        if which == "unused":
            fit(Net(), x, y, ce)
        elif which == "detached":
            fit(Detached(), x, y, ce)
        elif which == "alternating":
            fit(Alternating(), x, y, ce)
        elif which == "later":
            fit(Later(), x, y, ce, steps=140)
        elif which == "softmax":
            fit(nn.Sequential(nn.Linear(6, 3), nn.Softmax(1)), x, y, lambda p, t: 2 * ce(p, t) / 3)
        elif which == "regulariser":
            net = nn.Linear(6, 3)
            fit(net, x, y, lambda p, t: ce(p, t) + 0.01 * net.weight.abs().sum().sqrt())
        elif which == "broadcast":
            fit(nn.Linear(6, 1), x, torch.randn(32), F.mse_loss)
        elif which == "two losses":
            answers = (torch.randn(32, 3) > 0).float()
            fit(nn.Linear(6, 3), x, y, lambda p, t: ce(p, t) + ce(p.sigmoid(), answers))
        elif which == "words":
            t = torch.randint(1, 12, (8, 5))
            fit(Words(), t, t, lambda p, t: ce(p.flatten(0, 1), t.flatten()))
        elif which == "replaced":
            net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 9))
            optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
            net[2] = nn.Linear(8, 3)
            fit(net, x, y, ce, optimizer)
        elif which == "copied":
            net = nn.Linear(6, 3)
            optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
            fit(copy.deepcopy(net), x, y, ce, optimizer)
        elif which == "raw":
            w = torch.zeros(6, 3, requires_grad=True)
            fit(lambda x: x @ w, x, y, ce, torch.optim.SGD([w], lr=0.1))
        elif which == "reentrant":
            fit(Checkpointed(True), x, y, ce)
        elif which == "reentrant with gradient":
            fit(Checkpointed(True), x.requires_grad_(), y, ce)
        elif which == "places":
            fit(Net(), x, y, lambda out, target: sum(ce(part, of) for part, of in zip(out.split(8), target.split(8))))
        elif which == "checkpoint":
            fit(Checkpointed(False), x, y, ce)

    for which in sys.argv[1:]:
        case(which)
        gc.collect()
"""
UNUSED = ["unused.weight", "unused.bias"]
GONE = "absent"
CASES: dict[str, dict[str, Any]] = {
    "unused": {
        "unreached": UNUSED,
        "stale_parameters": 0,
        "reentrant_frozen": GONE,
        "shapes": {"input": [32, 6], "output": [32, 3], "target": [32]},
    },
    "detached": {"unreached": ["a.weight", "a.bias", *UNUSED]},
    "alternating": {"unreached": [], "stale_parameters": 0},
    "later": {"unreached": [], "stale_parameters": 0},
    "softmax": {
        "unreached": [],
        "loss.graph": {
            "before": ["SoftmaxBackward0", "AddmmBackward0", "TBackward0"],
            "after": ["MulBackward0", "DivBackward0"],
            "input": [32, 3],
            "target": [32],
            "target_dtype": "int64",
            "broadcast": False,
            "calls": 1,
        },
    },
    "places": {"loss.graph.calls": 4, "loss.graph.after": ["AddBackward0"] * 4},
    "regulariser": {"unreached": [], "loss.graph.after": ["AddBackward0"]},
    "broadcast": {"loss.graph.broadcast": True, "loss.graph.input": [32, 1], "loss.graph.target": [32]},
    "two losses": {
        "loss.others": [
            {
                "loss": {"name": "cross_entropy", "weighted": False, "reduction": "mean", "where": "train.py:73"},
                "classes": 3,
                "loss.graph": {
                    "before": ["SigmoidBackward0", "AddmmBackward0", "TBackward0"],
                    "after": ["AddBackward0"],
                    "input": [32, 3],
                    "target": [32, 3],
                    "target_dtype": "float32",
                    "broadcast": False,
                    "target_sums": [0.0, 2.0],
                },
            }
        ],
    },
    "words": {
        "unreached": [],
        "loss.graph.padding_idx": 0,
        "shapes": {"input": [8, 5], "output": [40, 12], "target": [40]},
    },
    "replaced": {"stale_parameters": 2, "unoptimized": ["2.weight", "2.bias"]},
    "copied": {"stale_parameters": 2, "unoptimized": ["weight", "bias"]},
    "raw": {"unreached": [], "stale_parameters": 0, "shapes": {"output": [32, 3], "target": [32]}},
    "reentrant": {"reentrant_frozen": "train.py:34", "unreached": []},
    "reentrant with gradient": {"reentrant_frozen": "", "unreached": GONE},
    "checkpoint": {"reentrant_frozen": GONE, "unreached": []},
}
"""A name with more points is a part of ``loss.graph``."""


@pytest.fixture(scope="module")
def facts() -> list[dict[str, Any]]:
    """Of each case; each is a segment."""
    found = run(SCRIPT, args=tuple(CASES))
    assert found.returncode == 0, found.stderr
    assert not [event for event in found.events if event["name"] == "probe.failed"], found.events
    assert len(found.segments) == len(CASES)
    known: list[dict[str, Any]] = [{} for _ in CASES]
    for event in found.events:
        if event["name"] == "facts":
            known[event["segment"]].update(event["data"])
    return known


@pytest.mark.parametrize("which", CASES)
def test_facts(facts, which):
    known = facts[list(CASES).index(which)]
    flat = known | {f"loss.graph.{key}": value for key, value in known.get("loss.graph", {}).items()}
    assert {key: flat.get(key, GONE) for key in CASES[which]} == CASES[which]
