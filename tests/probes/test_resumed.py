"""A training that goes on from a file: its steps are counted on, and weights alone are no such file."""

from __future__ import annotations

import pytest

from .harness import one_segment_each, run, runs

RESUMED = """
    import json, sys
    import torch, torch.nn as nn, torch.nn.functional as F
    from torch.utils.data import DataLoader, TensorDataset
    torch.manual_seed(0)
    model = nn.Linear(5, 3)
    kind, epochs = sys.argv[1], int(sys.argv[2])
    optimizer = torch.optim.Adam(model.parameters()) if kind == "adam" else torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(TensorDataset(torch.randn(48, 5), torch.randint(0, 3, (48,))), batch_size=8)
    start, step = 0, 0
    if len(sys.argv) > 3:
        state = torch.load(sys.argv[3])
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        start, step = state["epoch"] + 1, state["global_step"]
    losses = []
    for epoch in range(start, epochs):
        for a, b in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(a), b)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            step += 1
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch, "global_step": step}
        torch.save(state, "last.pt")
    torch.save(torch.ones(3), "data.pt")
    torch.save({"image": torch.ones(3), "label": 1}, "sample.pt")
    print(json.dumps([losses]))
"""


@pytest.fixture(scope="module")
def resumed():
    """What the first and the second half of a training left, for each optimizer."""
    a, b, c, d = runs(RESUMED, ("adam", "2"), ("adam", "4", "../0/last.pt"), ("sgd", "2"), ("sgd", "4", "../2/last.pt"))
    return {"adam": (a, b), "sgd": (c, d)}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_a_resumed_training_goes_on_at_its_step(resumed, kind):
    first, second = resumed[kind]
    one_segment_each(first)
    saved = [event for event in first.events if event["name"] == "checkpoint.saved"]
    path = first.job / "last.pt"
    assert [(event["step"], event["data"]["step"]) for event in saved] == [(6, 6), (12, 12)]
    assert saved[1]["data"]["path"] == str(path)
    assert saved[1]["data"]["size"] == path.stat().st_size
    assert "resumed" not in first.facts()
    assert "pretrained" not in first.facts()

    one_segment_each(second, starts=[12])
    assert second.segments[0]["reason"] == "resume"
    assert second.steps("loss.train") == list(range(13, 25))
    assert second.scalars("epoch").tolist() == [3] * 6 + [4] * 6
    facts = second.facts()
    assert facts["planned_steps"] == 24
    assert (facts["resumed"]["path"], facts["resumed"]["step"]) == (str(path), 12)
    assert facts["pretrained"]
    loaded = second.event("checkpoint.loaded")
    assert (loaded["step"], loaded["data"]["step"], loaded["data"]["path"]) == (12, 12, str(path))


def test_weights_from_a_file_are_no_resumed_training(tmp_path):
    done = run(
        """
        import io, torch, torch.nn as nn, torch.nn.functional as F
        torch.save({"epoch": 90, "model": nn.Linear(5, 8).state_dict()}, "body.pt")
        model = nn.Sequential(nn.Linear(5, 8), nn.Linear(8, 3))
        with open("body.pt", "rb") as file:
            model[0].load_state_dict(torch.load(file)["model"])
        copy = io.BytesIO()
        torch.save(model.state_dict(), copy)
        optimizer = torch.optim.Adam(model.parameters())
        for step in range(12):
            F.cross_entropy(model(torch.ones(4, 5)), torch.zeros(4, dtype=torch.long)).backward()
            optimizer.step()
        """,
    )
    assert done.returncode == 0, done.stderr
    assert [segment["first_step"] for segment in done.segments] == [0]
    assert done.facts()["pretrained"]
    assert "resumed" not in done.facts()
    assert [event["name"] for event in done.events if event["name"].startswith("checkpoint")] == [
        "checkpoint.saved",
        "checkpoint.loaded",
    ]
