"""One callback in a script of each framework: the run is recorded, with what the framework logs as charts."""

import importlib.util
import os
import subprocess
import sys

import pytest

from nnwatch import __file__ as package
from nnwatch.card import Card
from nnwatch.history import History

from ..nnwatch.conftest import home as _home
from ..nnwatch.doors import PATIENCE, history, until

home = _home
DATA = """
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
x, y = torch.randn(60, 5), torch.randint(0, 3, (60,))
data, held = TensorDataset(x[:40], y[:40]), TensorDataset(x[40:], y[40:])
net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
"""
LIGHTNING = """
class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = net
    def training_step(self, batch, index):
        loss = cross_entropy(self.net(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss
    def validation_step(self, batch, index):
        self.log("val_loss", cross_entropy(self.net(batch[0]), batch[1]))
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)
from nnwatch.integrations.lightning import NnwatchCallback
trainer = pl.Trainer(max_epochs=3, accelerator="cpu", logger=False, log_every_n_steps=1, callbacks=[NnwatchCallback()],
                     enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False)
trainer.fit(Module(), DataLoader(data, 8), DataLoader(held, 10))
"""
SCRIPTS = {
    "lightning": "import lightning.pytorch as pl" + DATA + LIGHTNING,
    "pytorch_lightning": "import pytorch_lightning as pl" + DATA + LIGHTNING,
    "transformers": DATA + """
from transformers import PretrainedConfig, PreTrainedModel, Trainer, TrainingArguments
from nnwatch.integrations.transformers import NnwatchCallback
class Model(PreTrainedModel):
    config_class = PretrainedConfig
    def __init__(self, config):
        super().__init__(config)
        self.net = net
        self.post_init()
    def forward(self, x, labels):
        logits = self.net(x)
        return {"loss": cross_entropy(logits, labels), "logits": logits}
rows = [{"x": a, "labels": b} for a, b in zip(x, y)]
arguments = TrainingArguments("out", num_train_epochs=3, per_device_train_batch_size=8, logging_steps=1, use_cpu=True,
                              eval_strategy="epoch", save_strategy="no", report_to="none", disable_tqdm=True)
Trainer(Model(PretrainedConfig()), arguments, train_dataset=rows[:40], eval_dataset=rows[40:],
        callbacks=[NnwatchCallback()]).train()
""",
    "keras": """
import os
os.environ["KERAS_BACKEND"] = "torch"
import keras
from nnwatch.integrations.keras import NnwatchCallback
""" + DATA + """
model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(3)])
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
model.fit(x[:40].numpy(), y[:40].numpy(), 8, 3, verbose=0, callbacks=[NnwatchCallback()],
          validation_data=(x[40:].numpy(), y[40:].numpy()))
""",
    "accelerate": DATA + """
from accelerate import Accelerator
from nnwatch.integrations.accelerate import NnwatchTracker
accelerator = Accelerator(cpu=True, log_with=NnwatchTracker())
model, optimizer, loader = accelerator.prepare(net, torch.optim.SGD(net.parameters(), lr=0.1), DataLoader(data, 8))
accelerator.init_trackers("digits", config={"lr": 0.1})
for epoch in range(3):
    for a, b in loader:
        loss = cross_entropy(model(a), b)
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        accelerator.log({"train_loss": loss.item()})
accelerator.get_tracker("nnwatch", unwrap=True).log(own=7)
accelerator.end_training()
""",
    "ignite": DATA + """
from ignite.engine import Engine, Events
from ignite.metrics import Accuracy
from nnwatch.integrations.ignite import NnwatchHandler
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
def train(engine, batch):
    optimizer.zero_grad()
    loss = cross_entropy(net(batch[0]), batch[1])
    loss.backward()
    optimizer.step()
    return loss.item()
def evaluate(engine, batch):
    with torch.no_grad():
        return net(batch[0]), batch[1]
trainer, evaluator = Engine(train), Engine(evaluate)
Accuracy().attach(evaluator, "accuracy")
NnwatchHandler().attach(trainer)
trainer.on(Events.EPOCH_COMPLETED)(lambda engine: evaluator.run(DataLoader(held, 10)) and None)
trainer.run(DataLoader(data, 8), max_epochs=3)
""",
}  # fmt: skip
LOGGED = {
    "lightning": {"user.train_loss": 15, "user.val_loss": 3},
    "pytorch_lightning": {"user.train_loss": 15, "user.val_loss": 3},
    "transformers": {"user.loss": 15, "user.learning_rate": 15, "user.eval_loss": 3},
    "keras": {"user.loss": 3, "user.accuracy": 3, "user.val_loss": 3},
    "accelerate": {"user.train_loss": 15, "user.own": 1},
    "ignite": {"user.accuracy": 3},
}
"""Records of each value that the framework was given to log."""


def recorded(home, framework: str) -> History:
    """What nnwatch has of the script; skips where the framework is not installed."""
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed: pip install -e '.[frameworks]'")
    home.env["PYTHONPATH"] = os.path.dirname(os.path.dirname(package))
    home.script("own.py", SCRIPTS[framework])
    done = subprocess.run(
        [sys.executable, "own.py"], cwd=home.folder, env=home.env, capture_output=True, text=True, timeout=PATIENCE,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert "nnwatch: watched from now on" in done.stderr
    until(lambda: [card for card in home.cards() if card.end is not None])
    card: Card
    [card] = home.cards()
    assert card.state == "finished"
    seen: History = history(card.session)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("framework", SCRIPTS)
def test_one_line_has_the_run_watched(home, framework):
    seen = recorded(home, framework)
    [track] = seen.tracks.values()
    assert len(track["loss.train"]) == 15
    assert track.last_step == 15
    assert {metric: len(track[metric]) for metric in LOGGED[framework]} == LOGGED[framework]
    assert "update.ratio" in track
    facts = seen.facts_of(track)
    assert facts["framework"] == framework.removeprefix("pytorch_")
    if framework != "accelerate":  # a loop of one's own
        assert facts["planned_steps"] == 15
    assert not [event.data for event in seen.events if event.name in ("probe.failed", "notice")]
