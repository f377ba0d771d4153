"""Scripts whose step cannot be captured: tried in their own loop, or with the line that names the step."""

import textwrap

import pytest

from .trying import check

BY_HAND = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(256, 8)
y = x @ torch.randn(8, 1) + 3
model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Dropout(0.5), nn.Linear(32, 1))
optimizers = [
    torch.optim.SGD(model[:2].parameters(), lr=torch.tensor(1e-3), weight_decay=0.1),
    torch.optim.AdamW(model[2:].parameters(), lr=1e-2),
]
loader = DataLoader(TensorDataset(x, y), 16, shuffle=True)
for epoch in range(100000):
    for a, b in loader:
        loss = ((model(a) - b) ** 2).mean()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
"""


def test_a_loss_of_the_scripts_own_is_overfitted_in_the_scripts_own_loop(home):
    found = check(home, BY_HAND)
    overfit = found.trials["overfit"]
    assert overfit["state"] == "done", overfit
    assert overfit["loss_kind"] == "other"
    assert overfit["samples"] == 16
    assert overfit["first"] > 5
    assert overfit["last"] < 0.02 * overfit["first"]
    assert overfit["last"] == min(rung["last"] for rung in overfit["rungs"])
    assert found.trials["gradient"]["line"] == "nnwatch.step(model, loss_fn, x, y)"
    ramp = found.trials["range"]
    assert ramp["state"] == "done"
    assert ramp["present"] == 1e-2
    assert sorted(ramp["groups"]) == pytest.approx([0.1, 1.0])
    assert 1e-3 < ramp["suggested"] < 1


def test_the_line_that_names_the_step_makes_it_known(home):
    named = BY_HAND.replace(
        "loader = ",
        "import nnwatch\nnnwatch.step(model, nn.functional.mse_loss, x[:16], y[:16])\nloader = ",
    )
    found = check(home, named, "--only", "overfit,input,gradient").trials
    assert found["overfit"]["loss_kind"] == "mse"
    assert found["overfit"]["samples"] == 16
    assert found["overfit"]["last"] < 0.01 * found["overfit"]["first"]
    assert found["gradient"]["inputs"] == {"0": 1.0}
    assert found["input"]["permuted"] > 10 * found["input"]["loss"]


def test_the_line_changes_nothing_where_nobody_checks():
    import torch

    import nnwatch

    state = torch.get_rng_state()
    nnwatch.step(torch.nn.Linear(2, 1), torch.nn.functional.mse_loss, torch.zeros(1, 2), torch.zeros(1, 1))
    state_after = torch.get_rng_state()
    assert state_after.shape == state.shape


def test_without_a_loader_there_is_nothing_to_repeat(home):
    script = """
        import torch

        torch.manual_seed(0)
        weight = torch.nn.Parameter(torch.zeros(3))
        optimizer = torch.optim.SGD([weight], lr=0.1)
        for step in range(1000):
            loss = (weight - torch.tensor([1.0, 2.0, 3.0])).square().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    """
    found = check(home, textwrap.dedent(script)).trials
    assert found["overfit"]["state"] == "not possible"
    assert "no DataLoader" in found["overfit"]["why"]
    assert found["overfit"]["line"] == "nnwatch.step(model, loss_fn, x, y)"
    assert found["range"]["state"] == "done"
    assert found["twice"]["parted"] is None


def test_a_compiled_model_is_looked_into(home):
    script = """
        import torch
        from torch import nn

        torch.manual_seed(0)
        model = torch.compile(nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1)))
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        x = torch.randn(64, 4)
        y = x.sum(1, keepdim=True)
        for step in range(1000):
            loss = nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    """
    found = check(home, textwrap.dedent(script), "--only", "overfit,input").trials
    assert found["overfit"]["loss_kind"] == "mse"
    assert found["overfit"]["samples"] == 16
    assert found["overfit"]["last"] < 0.01 * found["overfit"]["first"]
    assert found["input"]["permuted"] > 10 * found["input"]["loss"]
