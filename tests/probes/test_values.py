"""What is recorded is what happened: every number against the one the script works out for itself."""

from __future__ import annotations

import numpy as np
import pytest

from .harness import run

CLASSIFIER = """
    import json, sys
    import torch, torch.nn as nn, torch.nn.functional as F
    from torch.utils.data import DataLoader, TensorDataset
    torch.manual_seed(0)
    EPOCHS = 4
    model = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 12), nn.Tanh(), nn.Linear(12, 3))
    with torch.no_grad():
        model[0].bias[:4] = -1000.0                      # four of ten units never fire
        model[2].weight[:3] = 0
        model[2].bias[:3] = 50.0                         # three of twelve outputs are flat
    for unused in (nn.Linear(2, 2), nn.Linear(6, 6)):
        pass
    model[4].extra = nn.Parameter(torch.zeros(2), requires_grad=False)
    optimizer = torch.optim.SGD([{"params": model[:2].parameters(), "lr": 0.05},
                                 {"params": model[2:4].parameters()}, {"params": [model[4].weight]}],
                                lr=0.1, momentum=0.9, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 5)
    x, y = torch.randn(640, 6) * 3 + 1, torch.randint(0, 3, (640,))
    train = DataLoader(TensorDataset(x[:512], y[:512]), batch_size=64, shuffle=True)
    val = DataLoader(TensorDataset(x[512:], y[512:]), batch_size=48)
    weight = torch.tensor([1.0, 2.0, 0.5])
    criterion = nn.CrossEntropyLoss(weight=weight, label_smoothing=0.1)
    out = {k: [] for k in "loss norm clip ratio weight lr right inputs val each val_right counts".split()}

    def evaluate():
        model.eval()
        with torch.no_grad():
            for a, b in val:
                logits = model(a)
                out["val"].append(criterion(logits, b).item())
                out["val_right"].append((logits.argmax(1) == b).float().mean().item())
                out["each"].append(F.cross_entropy.__wrapped__(logits, b, weight=weight, label_smoothing=0.1,
                                                               reduction="none").tolist()
                                   if hasattr(F.cross_entropy, "__wrapped__") else None)
        model.train()

    evaluate()
    for epoch in range(EPOCHS):
        for a, b in train:
            optimizer.zero_grad()
            logits = model(a)
            loss = criterion(logits, b)
            metric = criterion(logits.detach(), b)        # no validation batch
            loss.backward()
            out["clip"].append(nn.utils.clip_grad_norm_(model.parameters(), 0.5).item())
            held = [p for g in optimizer.param_groups for p in g["params"]]
            out["norm"].append([p.grad.norm().item() for p in held])
            before = [p.detach().clone() for p in held]
            out["lr"].append([g["lr"] for g in optimizer.param_groups])
            optimizer.step()
            out["ratio"].append([((p - q).norm() / q.norm()).item() for p, q in zip(held, before)])
            out["weight"].append([q.norm().item() for q in before])
            out["loss"].append(loss.item())
            out["right"].append((logits.argmax(1) == b).float().mean().item())
            out["counts"].append(torch.bincount(b, minlength=3).tolist())
            out["inputs"].append([a.mean().item(), a.std(unbiased=False).item(), a.min().item(), a.max().item()])
        schedule.step()
        evaluate()
    print(json.dumps(out))
"""


@pytest.fixture(scope="module")
def classifier():
    done = run(CLASSIFIER)
    assert done.returncode == 0, done.stderr
    assert not [event for event in done.events if event["name"] == "probe.failed"], done.events
    return done, done.printed()


def close(found, wanted, **tolerance):
    np.testing.assert_allclose(found, np.array(wanted, float), rtol=2e-5, atol=1e-7, **tolerance)


def sampled(done, metric, rows):
    """The script's numbers at the steps where the metric was recorded."""
    return [rows[step - 1] for step in done.steps(metric)]


@pytest.mark.slow
def test_every_step(classifier):
    done, out = classifier
    assert done.steps("loss.train") == list(range(1, 33))
    close(done.scalars("loss.train"), out["loss"])
    close(done.scalars("loss.root"), out["loss"])
    close(done.values("lr"), out["lr"])
    assert set(done.scalars("batch.size")) == {64}
    assert list(done.scalars("epoch")) == [1 + step // 8 for step in range(32)]
    assert (done.scalars("data.wait") > 0).all()
    assert np.isnan(done.scalars("step.seconds")[0])
    assert (done.scalars("step.seconds")[1:] > done.scalars("data.wait")[1:]).all()


@pytest.mark.slow
def test_gradients_weights_and_updates(classifier):
    done, out = classifier
    assert done.steps("grad.norm")[:20] == list(range(1, 21))
    names = ["0.weight", "0.bias", "2.weight", "2.bias", "4.weight"]
    assert done.names["update.ratio"] == names
    close(done.values("grad.norm.layer"), sampled(done, "grad.norm.layer", out["norm"]))
    close(done.scalars("grad.norm"), [np.linalg.norm(row) for row in sampled(done, "grad.norm", out["norm"])])
    close(done.scalars("grad.clip.norm"), sampled(done, "grad.clip.norm", out["clip"]))
    assert set(done.scalars("grad.clip.max")) == {0.5}
    close(done.values("weight.norm"), sampled(done, "weight.norm", out["weight"]))
    np.testing.assert_allclose(done.values("update.ratio"), sampled(done, "update.ratio", out["ratio"]), rtol=1e-3)


@pytest.mark.slow
def test_activations(classifier):
    done, _ = classifier
    assert done.names["act.mean"] == ["1", "3"]
    dead = done.values("act.dead")
    assert done.steps("act.mean")[0] == done.steps("input.mean")[0] == 1
    assert done.steps("act.dead")[0] == 8  # 8 batches of 64
    assert dead[0, 0] == pytest.approx(0.4)
    assert np.isnan(dead[:, 1]).all()
    saturated = done.values("act.saturated")
    assert (saturated[:, 1] >= 0.25).all()
    assert np.isnan(saturated[:, 0]).all()


@pytest.mark.slow
def test_predictions_and_inputs(classifier):
    done, out = classifier
    close(done.scalars("accuracy.train"), sampled(done, "accuracy.train", out["right"]))
    close(done.values("target.count"), sampled(done, "target.count", out["counts"]))
    confidence = done.values("confidence.train")
    assert confidence.shape[1] == 40
    assert (confidence.sum(1) == 64).all()
    close(confidence[:, 20:].sum(1) / 64, sampled(done, "accuracy.train", out["right"]))
    assert (done.values("predicted.count").sum(1) == 64).all()
    found = np.hstack([done.values(f"input.{kind}") for kind in ("mean", "std", "min", "max")])
    close(found, sampled(done, "input.mean", out["inputs"]))


@pytest.mark.slow
def test_validation(classifier):
    done, out = classifier
    assert done.steps("loss.val") == [0] * 3 + [8] * 3 + [16] * 3 + [24] * 3 + [32] * 3
    close(done.scalars("loss.val"), out["val"])
    close(done.scalars("accuracy.val"), out["val_right"])
    assert list(done.scalars("val.size")) == [48, 48, 32] * 5
    order = done.scalars("val.order").reshape(5, 3)
    assert (order == order[0]).all()
    assert len(set(order[0])) == 3
    each = done.values("loss.val.each")
    assert each.shape == (15, 48)
    close(each[2][:32], out["each"][2])
    assert np.isnan(each[2][32:]).all()
    assert (done.values("confidence.val").sum(1) == [48, 48, 32] * 5).all()


@pytest.mark.slow
def test_facts(classifier):
    done, _ = classifier
    facts = done.facts()
    assert facts["planned_steps"] == 32
    assert facts["planned_from"] == "for epoch in range(EPOCHS), for (a, b) in train"
    assert facts["steps_per_epoch"] == 8
    assert (facts["train_rows"], facts["val_rows"], facts["classes"], facts["accumulation"]) == (512, 128, 3, 1)
    assert facts["model"] == {"class": "Sequential", "parameters": 243, "trainable": 241}
    assert facts["layers"]["relu"] == facts["layers"]["tanh"] == 1
    assert facts["unoptimized"] == ["4.bias"]
    assert facts["frozen"] == ["4.extra"]
    (optimizer,) = facts["optimizers"]
    assert optimizer["class"] == "SGD"
    assert optimizer["lr"] == [0.05, 0.1, 0.1]
    assert optimizer["where"].startswith("train.py:")
    assert facts["loss"]["name"] == "cross_entropy"
    assert facts["loss"]["weighted"]
    assert facts["loss"]["label_smoothing"] == pytest.approx(0.1)
    called = 1 + next(i for i, line in enumerate(CLASSIFIER.splitlines()) if "loss = criterion(" in line)
    assert facts["loss"]["where"] == f"train.py:{called}"
    assert (facts["device"], facts["amp"], facts["compiled"], facts["distributed"]) == ("cpu", False, False, False)
