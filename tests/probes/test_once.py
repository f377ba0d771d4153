"""Facts: what is found out about a script once."""

from __future__ import annotations

import pytest

from .harness import run

PARTS = """
    import random
    import numpy as np
    import torch, torch.nn as nn, torch.nn.functional as F
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
    from torch.utils.data import DataLoader, DistributedSampler, TensorDataset
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    torch.use_deterministic_algorithms(True)

    class Block(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.linear = nn.Linear(width, width)
            self.norm = nn.BatchNorm1d(width, momentum=0.2)
            self.drop = nn.Dropout(0.25)
        def forward(self, x):
            return self.drop(self.norm(self.linear(x)).relu())

    class Lora(nn.Module):
        def __init__(self, base):
            super().__init__()
            self.base = base.requires_grad_(False)
            self.a, self.b = nn.Linear(16, 2, bias=False), nn.Linear(2, 16, bias=False)
        def forward(self, x):
            return self.base(x) + self.b(self.a(x))

    model = nn.Sequential(
        nn.Linear(5, 16),
        Block(16),
        Lora(nn.Linear(16, 16)),
        nn.Linear(16, 3),
    )
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.99))
    optimizer = torch.optim.SGD((p for p in model.parameters() if p.requires_grad), lr=0.1)
    data = TensorDataset(torch.randn(48, 5), torch.randint(0, 3, (48,)))
    sampler = DistributedSampler(data, num_replicas=1, rank=0)
    loader = DataLoader(data, batch_size=8, sampler=sampler, drop_last=True)
    for epoch in range(4):
        if epoch == 1:
            sampler.set_epoch(epoch)
        for a, b in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(a), b).backward()
            optimizer.step()
"""


def test_the_parts_of_a_script():
    done = run(PARTS)
    assert done.returncode == 0, done.stderr
    assert not [event for event in done.events if event["name"] == "probe.failed"], done.events
    facts = done.facts()
    lines = PARTS.splitlines()

    def at(text):
        return f"train.py:{next(number for number, line in enumerate(lines) if text in line) + 1}"

    called, block, lora = at("model(a)"), at("return self.drop"), at("return self.base")
    assert facts["modules"] == [
        ["", "Sequential", 0, at("model = nn.Seq"), called],
        ["0", "Linear", 96, at("        nn.Linear(5, 16)"), called],
        ["1", "Block", 0, at("        Block(16)"), called],
        ["1.linear", "Linear", 272, at("self.linear"), block],
        ["1.norm", "BatchNorm1d", 32, at("self.norm"), block],
        ["1.drop", "Dropout", 0, at("self.drop"), block],
        ["2", "Lora", 0, at("        Lora("), called],
        ["2.base", "Linear", 272, at("        Lora("), lora],
        ["2.a", "Linear", 32, at("self.a, self.b"), lora],
        ["2.b", "Linear", 32, at("self.a, self.b"), lora],
        ["3", "Linear", 51, at("        nn.Linear(16, 3)"), called],
    ]
    assert facts["norms"] == [["1.norm", "BatchNorm1d", 16, 0.2]]
    assert facts["dropout"] == [["1.drop", 0.25]]
    assert facts["adapters"]
    assert facts["precision"] == "float32"
    assert facts["ema"] == {"class": "AveragedModel", "decay": 0.99, "where": at("average =")}
    assert facts["seeds"] == {"torch": 3, "numpy": True, "python": True, "deterministic": True}
    assert facts["versions"]["torch"] == facts["torch"]
    assert "numpy" in facts["versions"]
    assert (facts["workers"], facts["pin_memory"], facts["batch_size"], facts["drop_last"]) == (0, False, 8, True)
    assert facts["shuffle"] == "DistributedSampler"
    told = {"class": "DistributedSampler", "set_epoch_calls": 1, "passes": 2, "shuffle": True, "seed": 0}
    assert facts["sampler_epochs"] == told
    assert (facts["planned_steps"], facts["steps_per_epoch"]) == (24, 6)


SITES = """
    import torch, torch.nn as nn, torch.nn.functional as F
    from torch.utils.data import DataLoader, TensorDataset

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(5, 8), nn.Linear(8, 3)
        def forward(self, x):
            x = self.first(x).relu()
            return self.last(x).softmax(1)

    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data = TensorDataset(torch.randn(48, 5), torch.randint(0, 3, (48,)))
    train = DataLoader(data, batch_size=8)
    val = DataLoader(data, batch_size=16)
    for epoch in range(3):
        for a, b in train:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(a), b)
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            for a, b in val:
                checked = F.cross_entropy(model(a), b)
"""


def test_where_a_script_makes_and_calls_what_remedies_change():
    done = run(SITES)
    assert done.returncode == 0, done.stderr
    assert not [event for event in done.events if event["name"] == "probe.failed"], done.events
    facts, lines = done.facts(), SITES.splitlines()
    texts = {
        "output": "self.last(x)",
        "backward": "loss.backward()",
        "loader": "train =",
        "val_loader": "val =",
        "validation": "checked =",
        "evaluating": "model.eval()",
    }
    where = {name: next(number for number, line in enumerate(lines, 1) if text in line) for name, text in texts.items()}
    assert {name: facts[name]["where"] for name in texts} == {name: f"train.py:{n}" for name, n in where.items()}


def test_what_a_script_does_not_do_is_not_told():
    done = run(
        """
        import torch, torch.nn as nn, torch.nn.functional as F
        from torch.utils.data import DataLoader, TensorDataset
        model = nn.Sequential(nn.Linear(5, 64), nn.Linear(64, 3))
        model[0].requires_grad_(False)
        optimizer = torch.optim.SGD(model[1].parameters(), lr=0.1)
        for a, b in DataLoader(TensorDataset(torch.randn(96, 5), torch.randint(0, 3, (96,))), 8, shuffle=True):
            F.cross_entropy(model(a), b).backward()
            optimizer.step()
        """
    )
    assert done.returncode == 0, done.stderr
    facts = done.facts()
    assert facts["seeds"] == {"torch": None, "numpy": False, "python": False, "deterministic": False}
    assert facts["shuffle"] is True
    assert (facts["norms"], facts["dropout"]) == ([], [])
    assert not {"adapters", "ema", "pretrained", "resumed", "scheduler", "schedule_end", "sampler_epochs"} & set(facts)


def test_checkpoints_in_safetensors():
    pytest.importorskip("safetensors")
    done = run(
        """
        import torch, torch.nn as nn, torch.nn.functional as F
        from safetensors.torch import load_file, load_model, save_file, save_model
        from torch.utils.data import DataLoader, TensorDataset
        model, other = nn.Linear(5, 3), nn.Linear(5, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        save_file({"weight": torch.zeros(3, 5), "bias": torch.zeros(3)}, "begin.safetensors")
        model.load_state_dict(load_file("begin.safetensors"))
        for a, b in DataLoader(TensorDataset(torch.randn(96, 5), torch.randint(0, 3, (96,))), 8):
            F.cross_entropy(model(a), b).backward()
            optimizer.step()
        save_model(model, "end.safetensors")
        load_model(other, "end.safetensors")
        assert torch.equal(other.weight, model.weight)
        save_file({"pixels": torch.zeros(3)}, "data.safetensors")
        """
    )
    assert done.returncode == 0, done.stderr
    found = [event for event in done.events if event["name"].startswith("checkpoint")]
    assert [(event["name"], event["data"]["path"].rpartition("/")[2], event["step"]) for event in found] == [
        ("checkpoint.saved", "begin.safetensors", 0),
        ("checkpoint.loaded", "begin.safetensors", 0),
        ("checkpoint.saved", "end.safetensors", 12),
        ("checkpoint.loaded", "end.safetensors", 12),
    ]
    assert all(event["data"]["size"] > 60 for event in found)
    assert done.facts()["pretrained"] is True
    assert not [event for event in done.events if event["name"] == "probe.failed"], done.events


@pytest.mark.parametrize("file", [True, False])
@pytest.mark.parametrize(("prefix", "told"), [("module.", 1), ("", 0)])
def test_weights_that_none_of_the_model_s_names_fit_are_told(prefix, told, file):
    done = run(
        f"""
        import torch
        from torch import nn

        model = nn.Sequential(nn.Linear(4, 3))
        saved = {{"{prefix}0.weight": torch.ones(3, 4), "{prefix}0.bias": torch.ones(3)}}
        if {file}:
            torch.save(saved, "last.pt")
            saved = torch.load("last.pt")
        model.load_state_dict(saved, strict=False)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(torch.randn(8, 4)), torch.randint(0, 3, (8,))).backward()
            optimizer.step()
        """
    )
    assert done.returncode == 0, done.stderr
    found = [event["data"] for event in done.events if event["name"] == "checkpoint.unused"]
    assert len(found) == told
    for data in found:
        assert (data["weights"], data["given"], data["wanted"]) == (2, "module.0.weight", "0.weight")
        assert ("path" in data) is file
    assert bool(done.facts().get("pretrained")) is (file and not told)
