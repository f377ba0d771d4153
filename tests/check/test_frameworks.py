"""Every way to train is tried: what drives the loop is not asked."""

import importlib.util
import textwrap

import pytest

from .trying import check

DATA = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(640, 5)
y = x[:, :3].argmax(1)
loader = DataLoader(TensorDataset(x, y), 16, shuffle=True)
net = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 3))
"""
LIGHTNING = """
import lightning.pytorch as pl

class Net(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = net

    def training_step(self, batch, index):
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-3)

pl.Trainer(max_epochs=1000, accelerator="cpu", enable_progress_bar=False).fit(Net(), loader)
"""
TRANSFORMERS = """
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

tokens = torch.randint(0, 20, (64, 12)).repeat(4, 1)
rows = [{"input_ids": row, "labels": row} for row in tokens]
model = GPT2LMHeadModel(GPT2Config(vocab_size=20, n_positions=16, n_embd=32, n_layer=2, n_head=2))
settings = TrainingArguments("out", max_steps=2000, per_device_train_batch_size=16, learning_rate=1e-3, use_cpu=True)
Trainer(model, settings, train_dataset=rows).train()
"""
ACCELERATE = """
from accelerate import Accelerator

accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
model, optimizer, loader = accelerator.prepare(net, torch.optim.SGD(net.parameters(), lr=0.1), loader)
for epoch in range(1000):
    for a, b in loader:
        with accelerator.accumulate(model):
            loss = nn.functional.cross_entropy(model(a), b)
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
"""
KERAS = """
import os
os.environ["KERAS_BACKEND"] = "torch"
import keras

keras.utils.set_random_seed(0)
model = keras.Sequential([keras.layers.Dense(32, "relu"), keras.layers.Dropout(0.5), keras.layers.Dense(3)])
model.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(x.numpy(), y.numpy(), batch_size=16, epochs=1000, verbose=0)
"""
IGNITE = """
from ignite.engine import create_supervised_trainer

optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
create_supervised_trainer(net, optimizer, nn.CrossEntropyLoss()).run(loader, max_epochs=1000)
"""


@pytest.mark.parametrize(
    ("package", "text", "present"),
    [
        ("lightning", LIGHTNING, 1e-3),
        ("transformers", TRANSFORMERS, 1e-3),
        ("accelerate", ACCELERATE, 0.1),
        ("keras", KERAS, 1e-3),
        ("ignite", IGNITE, 0.1),
    ],
)
def test_what_drives_the_loop_is_not_asked(home, package, text, present):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    found = check(home, DATA + textwrap.dedent(text))
    assert found.done.returncode in (0, 3), found.done.stderr
    trials = found.trials
    overfit = trials["overfit"]
    assert overfit["state"] == "done", overfit
    assert overfit["last"] < 0.1 * overfit["first"]
    assert trials["twice"]["steps"] == 50
    assert trials["twice"]["parted"] is None
    ramp = trials["range"]
    assert ramp["state"] == "done", ramp
    assert ramp["present"] == pytest.approx(present)
    assert 1e-4 < ramp["suggested"] < 10
    assert trials["containment"]["how"] == "overlay"
    train = trials["data"]["sets"]["train"]
    assert train["read"] == train["rows"] == (256 if package == "transformers" else 640)
    assert train["bad"] == {"errors": 0, "shapes": 0, "nonfinite": 0, "constant": 0}
