"""What the experiments find in a script that they can look into."""

import pytest

from .trying import PLAIN, check


def test_everything_is_tried_with_a_plain_loop(home):
    found = check(home, PLAIN.replace("EPOCHS", "100000")).trials
    overfit = found["overfit"]
    assert overfit["state"] == "done"
    assert overfit["loss_kind"] == "cross-entropy"
    assert overfit["samples"] == 16
    assert overfit["accuracy"] == 1.0
    assert overfit["floor"] == pytest.approx(0, abs=1e-9)
    assert overfit["first"] == overfit["losses"][0] == pytest.approx(0.69, abs=0.2)
    assert overfit["last"] == overfit["losses"][-1] < 0.01
    inputs = found["input"]
    assert inputs["loss"] == pytest.approx(overfit["last"])
    assert min(inputs["permuted"], inputs["blank"], inputs["noise"]) > 10 * inputs["loss"]
    assert found["gradient"] == {
        "trial": "gradient", "state": "done", "why": None, "line": None,
        "inputs": {"0": 1.0}, "across": 0.0, "future": None, "shift": None,
    }  # fmt: skip
    ramp = found["range"]
    assert ramp["present"] == 1e-3
    assert 1e-3 < ramp["suggested"] < 1
    assert len(ramp["rates"]) == len(ramp["losses"])
    twice = found["twice"]
    assert twice["steps"] == 50
    assert twice["parted"] is None
    assert twice["losses"][0] == twice["losses"][1]
    assert found["scheduler"]["state"] == "not possible"
    assert found["custom"]["functions"] == []


def test_a_run_that_is_not_seeded_is_told_apart_at_its_first_step(home):
    found = check(home, PLAIN.replace("EPOCHS", "9").replace("torch.manual_seed(0)", ""), "--only", "twice").trials
    assert {*found} == {"containment", "twice"}
    assert found["twice"]["parted"] == 1


def test_only_the_range_test_takes_two_runs_and_nothing_else(home):
    found = check(home, PLAIN.replace("EPOCHS", "100000"), "--only", "lr")
    assert {*found.trials} == {"containment", "range"}
    assert found.history.last_step == 50


def test_data_that_are_made_on_the_way_are_reported_as_they_entered_the_model(home):
    """Neither a loader nor a variable has them."""
    made = PLAIN.replace("EPOCHS", "1").replace(
        "for a, b in DataLoader(TensorDataset(x, y), 32, shuffle=True)",
        "for a, b in ((r, (r.sum(1) > 0).long()) for r in (torch.randn(32, 8) for step in range(100)))",
    )
    found = check(home, made, "--only", "data,baselines").trials
    train = found["data"]["sets"]["train"]
    assert train["seen"]
    assert train["rows"] is train["duplicates"] is None
    assert train["shape"] == [8]
    assert train["read"] >= 5 * 32
    assert sum(train["target"]["counts"].values()) == train["read"]
    assert found["baselines"]["linear"]["accuracy"] > 0.9
