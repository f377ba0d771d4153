"""How many lines has a function? Poisson regression on what is counted in it, with minibatches cut from tensors."""

import numpy as np
import torch
from torch import nn

seed = 0
rows = 1500
width = 32
dropout = 0.0
batch = 50
epochs = 12
lr = 3e-3
weight_decay = 0.0
clip = 0.0

torch.manual_seed(seed)
data = np.load("functions.npz")
x = torch.tensor(data["counts"], dtype=torch.float32).log1p()
y = torch.tensor(data["lines"], dtype=torch.float32)
order = torch.randperm(len(x))
x, y = x[order], y[order]
x = (x - x[:rows].mean(0)) / x[:rows].std(0)
x_train, y_train, x_val, y_val = x[:rows], y[:rows], x[-800:], y[-800:]

model = nn.Sequential(
    nn.Linear(x.shape[1], width), nn.ReLU(), nn.Dropout(dropout),
    nn.Linear(width, width), nn.ReLU(),
    nn.Linear(width, 1),
)  # fmt: skip
loss_fn = nn.PoissonNLLLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * (rows // batch)
scheduler = None


def deviance(y, mean):
    """Of counts from their foretold means, each (rows,); 0 if all are right."""
    return 2 * (torch.xlogy(y, y / mean) - y + mean).mean()


def fit_epoch():
    model.train()
    order = torch.randperm(rows)
    losses = []
    for chosen in order.split(batch):
        out = model(x_train[chosen]).squeeze(1)
        loss = loss_fn(out, y_train[chosen])
        optimizer.zero_grad()
        update(loss)
        losses.append(loss.item())
    return sum(losses) / len(losses)


def evaluate():
    """The loss on other functions, and the share of the deviance that is explained."""
    model.eval()
    with torch.no_grad():
        out = model(x_val).squeeze(1)
        val_loss = loss_fn(out, y_val).item()
        explained = 1 - deviance(y_val, out.clamp(-10, 10).exp()) / deviance(y_val, y_val.mean())
    return val_loss, explained.item()


for epoch in range(epochs):
    train_loss = fit_epoch()
    val_loss, explained = evaluate()
    print(f"{epoch:3d} train {train_loss:.3f} val {val_loss:.3f} explained {explained:.3f}")
print("score", explained)
