"""Ignite: a trainer, and an evaluator after each epoch, whose metrics are in its state."""

import torch
import torch.nn.functional as F
from ignite.engine import Engine, Events
from ignite.metrics import Accuracy
from own import Own, accuracy
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x, y = torch.randn(60, 5), torch.randint(0, 3, (60,))
model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
own = Own(model[1])
user = {"accuracy": []}
own.know(framework="ignite", planned_steps=15, steps_per_epoch=5, user=user)


def train(engine, batch):
    optimizer.zero_grad()
    output = model(batch[0])
    loss = F.cross_entropy(output, batch[1])
    loss.backward()
    own.gradients(model.named_parameters())
    optimizer.step()
    right = accuracy(output, batch[1])
    own.step(loss=loss, root=loss, lr=[0.01], batch=8, epoch=engine.state.epoch, accuracy=right)
    return loss.item()


def evaluate(engine, batch):
    with torch.no_grad():
        output = model(batch[0])
        own.validated(F.cross_entropy(output, batch[1]), len(batch[0]), accuracy(output, batch[1]))
    return output, batch[1]


trainer, evaluator = Engine(train), Engine(evaluate)
Accuracy().attach(evaluator, "accuracy")


@trainer.on(Events.EPOCH_STARTED)
def begin(engine):
    own.phase("train")


@trainer.on(Events.EPOCH_COMPLETED)
def validate(engine):
    own.phase("val")
    model.eval()
    evaluator.run(DataLoader(TensorDataset(x[40:], y[40:]), batch_size=10))
    user["accuracy"].append([engine.state.iteration, evaluator.state.metrics["accuracy"]])
    model.train()


trainer.run(DataLoader(TensorDataset(x[:40], y[:40]), batch_size=8, shuffle=True), max_epochs=3)
own.end(model)
